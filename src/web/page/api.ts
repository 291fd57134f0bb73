/**
 * Questions to the web process. The token comes in the address behind the #, which is never sent; it is taken out of the
 * address at once and then lives in this module alone, and in the tab's own storage for a reload.
 */
import type { FaultSaid } from "../said.ts";

const KEY = "vtepd-token";

function takeToken(): string {
  const given = /^#t=([\w-]{1,128})$/.exec(location.hash)?.[1];
  if (given === undefined) return sessionStorage.getItem(KEY) ?? "";
  history.replaceState(null, "", `${location.pathname}#/fabric`);
  sessionStorage.setItem(KEY, given);
  return given;
}

const token = takeToken();

/** A question that was not answered: why, and what to do. */
export class Unanswered extends Error {
  readonly hint: string;
  readonly status: number;
  constructor(status: number, message: string, hint: string) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      ...init,
      headers: { authorization: `Bearer ${token}`, ...init.headers },
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new Unanswered(
      0,
      "vtepctl web does not answer",
      "has it ended? start it again and open the address it prints",
    );
  }
  if (answer.ok) return answer;
  const said = (await answer.json().catch(() => null)) as FaultSaid | null;
  throw new Unanswered(answer.status, said?.error.message ?? `HTTP status ${answer.status}`, said?.error.hint ?? "");
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await send(path, signal === undefined ? {} : { signal })).json()) as T;
}

const asJson = (body: unknown): RequestInit => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

export async function post<T>(path: string, body: unknown): Promise<T> {
  return (await (await send(path, asJson(body))).json()) as T;
}

export async function download(path: string): Promise<Blob> {
  return await (await send(path)).blob();
}

/** Most that all pages of a browser read at once: it has six connections to a server, and questions need some. */
const STREAMS = 4;

/** Do `work` while one of the browser's places for streams is held. */
async function inPlace(work: () => Promise<void>): Promise<void> {
  // Browsers have none for a page that came over a network in the clear.
  if (navigator.locks === undefined) return await work();
  for (let place = 0; place < STREAMS; place++) {
    const isDone = await navigator.locks.request(`vtepd-stream-${place}`, { ifAvailable: true }, async (lock) => {
      if (lock === null) return false;
      await work();
      return true;
    });
    if (isDone) return;
  }
  throw new Unanswered(503, `${STREAMS} pages of this browser show events or make a walk already`, "close one of them");
}

/** Lines of JSON, one after the other, until the server ends them or `signal` does. */
export function lines<T>(path: string, body: unknown, signal: AbortSignal, take: (line: T) => void): Promise<void> {
  return inPlace(() => read(path, body, signal, take));
}

async function read<T>(path: string, body: unknown, signal: AbortSignal, take: (line: T) => void): Promise<void> {
  const answer = await send(path, { ...(body === undefined ? {} : asJson(body)), signal });
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop()!;
    for (const part of parts) if (part !== "") take(JSON.parse(part) as T);
  }
}
