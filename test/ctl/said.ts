/** What a command says, caught: stdout and stderr of each test of the file that imports this. */
import { afterEach, beforeEach, vi } from "vitest";

/** What was said since the test began, or since `forget()`. */
export let out = "";
export let err = "";

export function forget(): void {
  out = "";
  err = "";
}

beforeEach(() => {
  forget();
  vi.spyOn(process.stdout, "write").mockImplementation((text, done?: unknown) => {
    out += text;
    if (typeof done === "function") done();
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += text;
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());
