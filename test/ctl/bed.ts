/**
 * Where vtepctl is tried: the real API over a real socket with a fake gateway behind it, and all that the command says,
 * caught. A test file that imports it has a bed of its own, made anew for each test.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach } from "vitest";
import { type ApiParts, createApi } from "../../src/api/api.ts";
import { type Listener, listenUnix } from "../../src/api/listener.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { type ApiSource, sourceWith } from "../api/fake-source.ts";

export { err, forget, out } from "./said.ts";

export const folder = mkdtempSync(join(tmpdir(), "vtepctl-"));
export const socket = join(folder, "gw1.sock");
let listener: Listener | null = null;

/** A daemon with `source` behind it answers on `socket`, instead of the one before, until the test ends. */
export async function serve(source: Partial<ApiSource>): Promise<void> {
  await serveParts(sourceWith(source));
}

/** The same of an API of other features. */
export async function serveParts(parts: ApiParts): Promise<void> {
  hangUp();
  listener = await listenUnix(createApi(parts), socket);
}

export function hangUp(): void {
  listener?.close();
  listener = null;
}

/** `vtepctl ARGS` to a daemon with `source` behind it. @returns the exit code. */
export async function ctl(source: Partial<ApiSource>, ...args: string[]): Promise<number> {
  await serve(source);
  return await again(...args);
}

/** `vtepctl ARGS` to what answers on `socket`. @returns the exit code. */
export async function again(...args: string[]): Promise<number> {
  return await runCommand(["-s", socket, ...args]);
}

afterEach(hangUp);
afterAll(() => rmSync(folder, { recursive: true }));
