/** The examples under a verb's `--help`, and what man pages take over. */

export const EXAMPLES_TITLE = "Examples:";

export function examples(...lines: readonly string[]): string {
  return `\n${EXAMPLES_TITLE}\n${lines.map((line) => `  $ ${line}`).join("\n")}\n`;
}
