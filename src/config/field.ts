/** Kinds of values that keys have in common: a name, a number of a range, an address, a path. */
import { z } from "zod";
import { type Read, readHost, readMacText, readNextHop, readPrefix } from "./address.ts";

export function read<T>(reader: (text: string) => Read<T>) {
  return z.string().transform((text, context): T => {
    const result = reader(text);
    if ("value" in result) return result.value;
    context.issues.push({ code: "custom", message: result.wrong, params: { fix: result.fix }, input: text });
    return z.NEVER;
  });
}

export function matching(pattern: RegExp, wrong: string, fix: string) {
  return read((text) => (pattern.test(text) ? { value: text } : { wrong: `"${text}" ${wrong}`, fix })).meta({
    pattern: pattern.source,
  });
}

/** Most next hops of one route. */
export const MAX_NEXT_HOPS = 8;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const name = () =>
  matching(
    NAME,
    "is no good name",
    "use 1 to 63 letters, digits, dots, hyphens or underscores, a letter or digit first",
  );
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}[A-Za-z0-9_])?)*$/;
export const hostName = () =>
  matching(HOST_NAME, "is no host name", "write a name without a port, such as gw1.example.net");
export const host = () => read(readHost);
export const hop = () => read(readNextHop);
export const prefix = () => read(readPrefix);
export const hostMac = () => read((text) => readMacText(text, false));
export const flag = (value: boolean) => z.boolean().default(value);
export const int = (min: number, max: number) => z.int().min(min).max(max);
export const mtu = (min: number, max: number) => z.union([z.literal("auto"), int(min, max)]);

export function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

export const directoryPath = () =>
  read<string>((text) => {
    if (!/^\/[^\0]*$/.test(text)) return { wrong: `"${text}" is no absolute path of a folder`, fix: "begin it with /" };
    if (bytesOf(text) > 1024) return { wrong: "the path is too long", fix: "at most 1024 bytes" };
    return { value: text };
  });

export const socketPath = () =>
  read<string>((text) => {
    if (!/^\/[^\0]*[^/\0]$/.test(text))
      return { wrong: `"${text}" is no absolute path of a file`, fix: "begin it with /" };
    // sockaddr_un.sun_path holds 108 bytes, the last one zero (unix(7)).
    if (bytesOf(text) > 107) return { wrong: "the path is too long for a Unix socket", fix: "at most 107 bytes" };
    return { value: text };
  });
