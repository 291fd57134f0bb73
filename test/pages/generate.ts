/**
 * The parts of the pages in docs/ that are made from the code: between two marks of a page, so that a sentence by hand can
 * stand around them. pages.test.ts compares them with the files; VTEPD_WRITE=1 writes the files.
 */
import { jsonSchema } from "../../src/config/json-schema.ts";
import { type KeyRow, keyRows } from "../../src/ctl/man-config.ts";
import { DROPS, INJECTS, PUNTS } from "../../src/tables/counters.ts";
import { metricRows, openApi } from "../contract/surface.ts";
import { type Document, renderApi } from "./api-page.ts";
import { cell, table } from "./markdown.ts";
import { bytesOnTheWire, centralised, otherVxlan, outside, sameVxlan } from "./walks.ts";

/** A part of a page: the page, the mark before and behind it, and what stands between. */
export interface Part {
  readonly page: string;
  readonly mark: string;
  readonly make: () => string | Promise<string>;
}

export const PARTS: readonly Part[] = [
  { page: "docs/drops.md", mark: "drops", make: dropTable },
  { page: "docs/metrics.md", mark: "metrics", make: metricTable },
  { page: "docs/metrics.md", mark: "classes", make: classTables },
  { page: "docs/configuration.md", mark: "keys", make: keyTables },
  { page: "docs/api.md", mark: "api", make: async () => renderApi((await openApi()) as Document) },
  { page: "docs/vxlan-101.md", mark: "bytes", make: bytesOnTheWire },
  { page: "docs/vxlan-101.md", mark: "centralised", make: centralised },
  { page: "docs/vxlan-101.md", mark: "same", make: sameVxlan },
  { page: "docs/vxlan-101.md", mark: "other", make: otherVxlan },
  { page: "docs/vxlan-101.md", mark: "outside", make: outside },
];

/** `text` with `inner` between the two marks; null where they are missing or in the wrong order. */
export function filled(text: string, mark: string, inner: string): string | null {
  const [begin, end] = [`<!-- ${mark} -->\n`, `<!-- /${mark} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  return from < 0 || to < from ? null : text.slice(0, from + begin.length) + inner + text.slice(to);
}

function dropTable(): string {
  return table(
    ["reason", "what happened"],
    DROPS.map(([name, sentence]) => [`\`${name}\``, sentence]),
  );
}

function metricTable(): string {
  return table(
    ["metric", "kind", "labels", "meaning"],
    metricRows().map(({ name, kind, labels, help }) => [`\`${name}\``, kind, labels.join(", "), cell(help)]),
  );
}

function classTables(): string {
  const of = (list: readonly (readonly [string, string, ...unknown[]])[]) =>
    list.map(([name, what]) => [`\`${name}\``, cell(what)]);
  return [
    table(["class of a punt", "frames that are handed to control"], of(PUNTS)),
    table(["class of an inject", "frames that control sends"], of(INJECTS)),
  ].join("\n");
}

/** A table for each key of the top level; a key without keys of its own stands in the first one. */
function keyTables(): string {
  const rows = keyRows(jsonSchema());
  const tops = rows.filter(({ path }) => !/[.[]/.test(path));
  const below = (top: KeyRow) =>
    rows.filter(({ path }) => path.startsWith(`${top.path}.`) || path.startsWith(`${top.path}[`));
  const heads = ["key", "type", "default", "meaning"];
  const one = (row: KeyRow) => [
    `\`${row.path}\``,
    cell(row.type),
    row.required ? "required" : row.default === "" ? "" : `\`${row.default}\``,
    cell(row.meaning),
  ];
  const flat = tops.filter((top) => below(top).length === 0);
  const deep = tops.filter((top) => below(top).length > 0);
  return [
    table(heads, flat.map(one)),
    ...deep.map((top) => `### ${top.path}\n\n${sentence(top.meaning)}${table(heads, below(top).map(one))}`),
  ].join("\n");
}

/** The schema's words as a paragraph. */
function sentence(words: string): string {
  return words === "" ? "" : `${words[0]!.toUpperCase()}${words.slice(1).replace(/\.$/, "")}.\n\n`;
}
