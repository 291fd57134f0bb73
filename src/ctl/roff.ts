/** The little of roff that a manual page needs. Text is data: no line of it becomes a request. */

/** A whole page. */
export function page(name: string, section: number, parts: readonly string[]): string {
  return `.\\" made by vtepctl man\n.TH ${name} ${section}\n${parts.join("")}`;
}

export function heading(title: string): string {
  return `.SH ${title}\n`;
}

export function text(words: string): string {
  return `.PP\n${plain(words)}\n`;
}

/** A term and what it means. */
export function item(term: string, meaning: string): string {
  return `.TP\n${b(term)}\n${plain(meaning)}\n`;
}

export function b(words: string): string {
  return `\\fB${plain(words).replaceAll("-", "\\-")}\\fR`;
}

export function verbatim(lines: string): string {
  const kept = lines.split("\n").map((line) => plain(line.trim()).replaceAll("-", "\\-"));
  return `.PP\n.nf\n.RS\n${kept.join("\n")}\n.RE\n.fi\n`;
}

/** Backslashes, and dots and quotes at the start of a line, are themselves. */
export function plain(words: string): string {
  return words
    .replaceAll("\\", "\\e")
    .split("\n")
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join("\n");
}
