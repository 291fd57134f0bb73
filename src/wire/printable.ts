/**
 * Text from outside on its way to a terminal: from a VM, a peer, a file, a daemon that may not be ours.
 *
 * Control characters (C0, DEL, C1: escape sequences begin with them) move the cursor, set the title or answer in the
 * operator's name; the marks of writing direction and the line separators make text look like what it is not. None of them
 * reaches a terminal.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are meant
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A piece of a line: with a dot for every character that is not printed. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, "·");
}

/** Several lines, with tabs: line feeds and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE, (sign) => (sign === "\n" || sign === "\t" ? sign : "·"));
}

/** JSON text that says the same without such characters: JSON itself only demands that C0 is escaped. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, (sign) => (sign === "\n" ? sign : escaped(sign)));
}

/** As JSON and YAML (in double quotes) write it. */
function escaped(sign: string): string {
  return `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Is there anything in it that must not be printed as it is? */
export function isPrintable(text: string): boolean {
  return text.search(UNPRINTABLE) < 0;
}
