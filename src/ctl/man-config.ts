/** vtepd.yaml(5): every key of the configuration with its type, range, default and meaning, from the JSON Schema. */
import type { SchemaNode } from "../config/json-schema.ts";
import { heading, item, page, text } from "./roff.ts";

export type { SchemaNode } from "../config/json-schema.ts";

export function renderConfigPage(schema: SchemaNode): string {
  return page("VTEPD.YAML", 5, [
    heading("NAME"),
    text("vtepd.yaml - configuration of vtepd"),
    heading("DESCRIPTION"),
    text(
      "One YAML file describes one gateway. Unknown keys are refused. SIGHUP or vtepctl config reload takes a changed file " +
        "over, all of it or nothing; node, underlay.address, underlay.port and workers need a restart. " +
        "vtepd schema prints the same as JSON Schema.",
    ),
    heading("KEYS"),
    ...keyRows(schema).map(manItem),
    heading("SEE ALSO"),
    text("vtepd(8), vtepctl(1)"),
  ]);
}

/** A key of the file, as a reader looks it up. */
export interface KeyRow {
  /** As people write it: "vsis[].vni". */
  readonly path: string;
  readonly meaning: string;
  /** Type and range, or the words that are allowed. */
  readonly type: string;
  /** As it is written; "" where there is none, or where it is a list or an object. */
  readonly default: string;
  readonly required: boolean;
}

/** Every key of the file in the order of the schema, each object before what is in it. */
export function keyRows(node: SchemaNode, path = ""): KeyRow[] {
  const shapes = [node, ...(node.anyOf ?? [])];
  return shapes.flatMap((shape) => {
    if (shape.items !== undefined) return keyRows(shape.items, `${path}[]`);
    return Object.entries(shape.properties ?? {}).flatMap(([key, value]) => {
      const at = path === "" ? key : `${path}.${key}`;
      const hasDefault = value.default !== undefined;
      const row: KeyRow = {
        path: at,
        meaning: value.description ?? "",
        type: typeText(value),
        default: hasDefault && typeof value.default !== "object" ? String(value.default) : "",
        required: !hasDefault && shape.required?.includes(key) === true,
      };
      return [row, ...keyRows(value, at)];
    });
  });
}

function manItem(row: KeyRow): string {
  const facts = [row.type, row.default !== "" ? `default ${row.default}` : "", row.required ? "required" : ""];
  const said = facts.filter((fact) => fact !== "").join("; ");
  const meaning = [row.meaning, said !== "" ? `(${said})` : ""].join(" ").trim();
  return item(row.path, meaning === "" ? "see below" : meaning);
}

function typeText(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.join(" | ");
  if (node.const !== undefined) return String(node.const);
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(typeText))].filter((text) => text !== "").join(" | ");
  const range =
    node.minimum === undefined || node.maximum === undefined || node.maximum >= Number.MAX_SAFE_INTEGER
      ? ""
      : ` ${node.minimum} to ${node.maximum}`;
  return `${node.type ?? ""}${range}`;
}
