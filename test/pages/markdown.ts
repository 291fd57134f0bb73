/** Tables of Markdown, from words that may hold anything. */

/** What would end a cell, or begin a tag. */
export function cell(words: string): string {
  return words.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
}

export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`.replaceAll("|  |", "| |");
  return `${[line(heads), `|${"---|".repeat(heads.length)}`, ...rows.map(line)].join("\n")}\n`;
}
