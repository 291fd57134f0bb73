/**
 * Source text for the house's rules: which files there are, what they import, and code without comments and strings.
 *
 * A scanner of one page, no parser: it knows comments, strings, templates and regular expressions well enough for our own
 * formatted sources, and house.test.ts proves on samples that it does.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = new URL("../..", import.meta.url).pathname;
const NOT_OURS = new Set(["node_modules", "dist", "build", "fixtures", ".git"]);

/** All files under `folder` whose name matches, as paths from the root. */
export function files(folder: string, name: RegExp = /\.ts$/): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return [];
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? files(path, name) : name.test(entry.name) ? [path] : [];
  });
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

export type Import = { from: string; names: string; isType: boolean };

/** Everything a file imports or re-exports, dynamic imports and bare ones included. */
export function importsOf(text: string): Import[] {
  const all: Import[] = [];
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const from = /\b(import|export)\s+(type\s+)?([^;"'`()=]*?)\s*from\s*["']([^"']+)["']/g;
  for (const [, , type, names, path] of code.matchAll(from)) {
    const inner = names!.replace(/^[^{]*\{|\}[^}]*$/g, "").split(",");
    const isType = type !== undefined || (names!.includes("{") && inner.every((n) => /^\s*(type\s|$)/.test(n)));
    all.push({ from: path!, names: names!.trim(), isType });
  }
  for (const [, path] of code.matchAll(/\bimport\s*\(\s*["']([^"']+)["']/g))
    all.push({ from: path!, names: "*", isType: false });
  for (const [, path] of code.matchAll(/\bimport\s*["']([^"']+)["']/g))
    all.push({ from: path!, names: "", isType: false });
  return all;
}

/** `text` with comments gone and strings, templates and regular expressions emptied; line breaks stay. */
export function codeOf(text: string): string {
  let out = "";
  let i = 0;
  const skipTo = (end: number): void => {
    out += text.slice(i, end).replace(/[^\n]/g, "");
    i = end;
  };
  while (i < text.length) {
    const two = text.slice(i, i + 2);
    const c = text[i]!;
    if (two === "//") skipTo(text.indexOf("\n", i) < 0 ? text.length : text.indexOf("\n", i));
    else if (two === "/*") skipTo(text.indexOf("*/", i) + 2);
    else if (c === '"' || c === "'" || c === "`") {
      let end = i + 1;
      while (end < text.length && text[end] !== c) end += text[end] === "\\" ? 2 : 1;
      skipTo(end + 1);
      out += '""';
    } else if (c === "/" && /[(,=:[!&|?{};\n]\s*$/.test(out)) {
      let end = i + 1;
      while (end < text.length && text[end] !== "/") end += text[end] === "\\" ? 2 : 1;
      skipTo(end + 1);
      out += "0";
    } else {
      out += c;
      i++;
    }
  }
  return out;
}

/** Lines of `code` that are inside a function or method body but not inside a constructor: what runs per frame. */
export function hotLines(code: string): { line: number; text: string }[] {
  const stack: string[] = [];
  const lines: { line: number; text: string }[] = [];
  let head = "";
  code.split("\n").forEach((text, n) => {
    let wasHot = isHot(stack);
    for (const c of text) {
      if (c === "{") {
        stack.push(kindOf(head));
        head = "";
      } else if (c === "}") {
        stack.pop();
        head = "";
      } else head = c === ";" ? "" : head + c;
      wasHot ||= isHot(stack);
    }
    head += " ";
    if (wasHot) lines.push({ line: n + 1, text });
  });
  return lines;
}

/** What a brace opens, from the text before it. */
function kindOf(head: string): string {
  if (/\bclass\s+\w+[^(]*$/.test(head)) return "class";
  if (/\bconstructor\s*\([\s\S]*\)\s*$/.test(head)) return "constructor";
  return /\)\s*(:[^=]*)?$|=>\s*$|\b(else|try|finally|do)\s*$/.test(head) ? "body" : "other";
}

function isHot(stack: readonly string[]): boolean {
  return stack.includes("body") && !stack.includes("constructor");
}
