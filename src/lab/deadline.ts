/**
 * Waiting with a deadline. Nothing in the lab sleeps for a fixed time: a condition is looked at again and again until
 * it holds or its deadline has passed, and then the error names what was waited for.
 */

/** The value of the first `probe()` that is neither `undefined` nor `false`; throws when `deadlineMs` have passed. */
export async function until<T>(
  what: string,
  deadlineMs: number,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  everyMs = 25,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let lastError = "";
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      lastError = `: ${(error as Error).message}`;
    }
    if (performance.now() >= end) throw new Error(`${what}: not within ${deadlineMs / 1000} s${lastError}`);
    await pause(everyMs);
  }
}

/** The promise's value, or an error that names `what` when it takes longer than `deadlineMs`. */
export async function within<T>(what: string, deadlineMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadlineMs / 1000} s`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
