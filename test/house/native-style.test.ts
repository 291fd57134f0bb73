/**
 * The one style of the addon and its native tests: clang-format with `.clang-format`, as WebAssembly from npm, so that it is
 * the same version everywhere and needs no LLVM. `VTEPD_WRITE=1` writes what it would have.
 *
 * What a formatter cannot see: one way to guard a header, and the compiler's warnings, which are on in both builds.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "@wasm-fmt/clang-format/node";
import { expect, it } from "vitest";
import { files, ROOT, read } from "./source.ts";

const STYLE = read(".clang-format");
const NATIVE = [...files("native-bindings", /\.(cc|h)$/), ...files("test/native", /\.(cc|h)$/)];

/** The first line that the formatter would have otherwise; null: none. */
function firstDifference(path: string, text: string, isOurs = true): string | null {
  const wanted = format(text, path, STYLE);
  if (wanted === text) return null;
  if (isOurs && process.env.VTEPD_WRITE === "1") writeFileSync(join(ROOT, path), wanted);
  const lines = wanted.split("\n");
  const at = text.split("\n").findIndex((line, n) => line !== lines[n]);
  return `${path}:${at + 1}: clang-format has "${lines[at]?.trim()}" (VTEPD_WRITE=1 writes it)`;
}

it("every native file is as clang-format writes it", () => {
  expect(NATIVE.length).toBeGreaterThan(40);
  expect(firstDifference("a.cc", "int  *a;\n", false)).toBe(
    'a.cc:1: clang-format has "int* a;" (VTEPD_WRITE=1 writes it)',
  );
  expect(NATIVE.flatMap((path) => firstDifference(path, read(path)) ?? [])).toEqual([]);
});

it("headers are guarded by the pragma, and nothing is written for a C compiler", () => {
  const headers = NATIVE.filter((path) => path.endsWith(".h"));
  expect(headers.filter((path) => !/^(\/\/.*\n)+#pragma once\n/.test(read(path)))).toEqual([]);
  expect(
    NATIVE.filter((path) => /__cplusplus|^typedef |#include <(std\w+|string|errno)\.h>/m.test(read(path))),
  ).toEqual([]);
});

it("old-style casts and conversions that change a value are warned of, in the addon and in its tests", () => {
  for (const path of ["native-bindings/binding.gyp", "test/native/Makefile"])
    for (const warning of ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wold-style-cast"])
      expect(read(path), path).toContain(warning);
});
