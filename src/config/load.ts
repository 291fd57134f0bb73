/**
 * The configuration: a file becomes a `Config`, or a list of everything that is wrong with it.
 *
 * Five steps, each in its own file, in this order:
 *   text    YAML, with the place of every value          source.ts
 *   values  the schema, section by section               values.ts, schema.ts, explain.ts
 *   rules   what must hold between values                rules-l2.ts (L2), rules-l3.ts (L3)
 *   plan    defaults and one form for everything         resolve.ts
 *   room    do tables of these sizes hold it?            control/topology/capacity.ts
 *
 * The operator was wrong: refuse early, with line and rule, and change nothing. Hence nothing here throws on input, and
 * there is no half-good result. The file may come from anyone who could write it, so it is data only: bounded in size
 * and depth, no includes, no variables, no shell.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { Config } from "../control/plan.ts";
import { whyNeverFitting } from "../control/topology/capacity.ts";
import { type ConfigError, errorOf, MAX_ERRORS } from "./error.ts";
import type { Found } from "./explain.ts";
import { checkLeftOut } from "./left-out.ts";
import { resolve } from "./resolve.ts";
import { checkAnycast } from "./rules-anycast.ts";
import { checkBfd } from "./rules-bfd.ts";
import { checkEvpn } from "./rules-evpn.ts";
import { checkL2, type Report } from "./rules-l2.ts";
import { checkL3 } from "./rules-l3.ts";
import { checkSecurity } from "./rules-security.ts";
import { checkTracks } from "./rules-tracks.ts";
import type { FileConfig } from "./schema.ts";
import { MAX_BYTES, readSource, type Source } from "./source.ts";
import { Values } from "./values.ts";

export type ParseResult = { readonly config: Config } | { readonly errors: readonly ConfigError[] };

/** `file` is only a name for messages. */
export function parseConfig(text: string, file: string): ParseResult {
  const { source, errors } = readSource(text, file);
  if (source === null) return { errors };
  if (typeof source.value !== "object" || source.value === null || Array.isArray(source.value)) {
    const fault = {
      path: [],
      rule: "wrong-type",
      message: "the file is not a mapping",
      fix: "write keys and values, beginning with node: NAME",
    };
    return { errors: [...errors, source.fault(fault, "value")] };
  }
  const values = new Values(source.value as Record<string, unknown>, source.spoilt);
  const { sections } = values;
  const report: Report = (path, rule, message, fix, at = "value") => {
    if (!values.isFull) values.add({ path, rule, message, fix: typeof fix === "string" ? fix : fix(), at });
  };
  checkL2(sections, report);
  checkL3(sections, report);
  checkEvpn(sections, report);
  checkBfd(sections, report);
  checkSecurity(sections, report);
  checkTracks(sections, report);
  checkAnycast(sections, report);
  checkLeftOut(values.leftOut, sections, (path, rule, message, fix) => {
    values.addLeftOut({ path, rule, message, fix: typeof fix === "string" ? fix : fix(), at: "value" });
  });
  const all = [...errors, ...values.found.slice(0, MAX_ERRORS).map((each) => place(source, each))];
  if (all.length > 0) return { errors: all.sort((a, b) => a.line - b.line || a.column - b.column) };
  const config = resolve(sections as FileConfig);
  const misfit = whyNeverFitting(config);
  if (misfit === null) return { config };
  const { path, text: message, fix } = misfit;
  return { errors: [source.fault({ path, rule: "capacity", message, fix }, "key")] };
}

function place(source: Source, { path, rule, message, fix, at }: Found): ConfigError {
  return source.fault({ path, rule, message, fix }, at);
}

/** Read and parse a file. It must be a regular file that not everybody may write. */
export function loadConfig(path: string): ParseResult {
  const read = readFile(path);
  return "text" in read ? parseConfig(read.text, path) : { errors: [read.error] };
}

function readFile(path: string): { text: string } | { error: ConfigError } {
  let fd: number;
  try {
    // Not blocking: a FIFO in the file's place must not stop the daemon.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return { error: unreadable(path, error) };
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) {
      return {
        error: errorOf(
          path,
          "not-a-file",
          stat.isDirectory() ? "this is a directory" : "this is no regular file",
          "name a file",
        ),
      };
    }
    // Write access to the file is power over every packet.
    if ((stat.mode & 0o002) !== 0) {
      return {
        error: errorOf(
          path,
          "world-writable",
          "everybody may write this file",
          "chmod o-w FILE, and look at what it says",
        ),
      };
    }
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    for (let got = 1; got > 0 && length < bytes.length; length += got) {
      got = readSync(fd, bytes, length, bytes.length - length, null);
    }
    if (length > MAX_BYTES) {
      return {
        error: errorOf(
          path,
          "too-large",
          "the file is larger than 1 MiB",
          "a configuration is a few kilobytes; split it",
        ),
      };
    }
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length)) };
  } catch (error) {
    return { error: unreadable(path, error) };
  } finally {
    closeSync(fd);
  }
}

const READ_ERRORS: Readonly<Record<string, readonly [string, string]>> = {
  ENOENT: ["there is no such file", "give its path with -c FILE"],
  EACCES: ["the file may not be read", "give the daemon's user the right to read it"],
  ELOOP: ["its symbolic links lead in a circle", "name the file itself"],
  ENOTDIR: ["a part of the path is no directory", "check the path"],
  ENAMETOOLONG: ["the path is too long", "check the path"],
  ERR_ENCODING_INVALID_ENCODED_DATA: ["the file is not UTF-8 text", "save it as UTF-8"],
};

function unreadable(path: string, error: unknown): ConfigError {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const [message, fix] = READ_ERRORS[code] ?? [
    `the file cannot be read: ${code || String(error)}`,
    "check the path and the disk",
  ];
  return errorOf(path, "unreadable", message, fix);
}
