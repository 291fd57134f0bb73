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
    ...keys(schema, ""),
    heading("SEE ALSO"),
    text("vtepd(8), vtepctl(1)"),
  ]);
}

function keys(node: SchemaNode, path: string): string[] {
  const shapes = [node, ...(node.anyOf ?? [])];
  return shapes.flatMap((shape) => {
    if (shape.items !== undefined) return keys(shape.items, `${path}[]`);
    return Object.entries(shape.properties ?? {}).flatMap(([key, value]) => {
      const at = path === "" ? key : `${path}.${key}`;
      const facts = [typeText(value), defaultText(value, shape.required?.includes(key) === true)].filter(
        (t) => t !== "",
      );
      const meaning = [value.description ?? "", facts.length > 0 ? `(${facts.join("; ")})` : ""].join(" ").trim();
      return [item(at, meaning === "" ? "see below" : meaning), ...keys(value, at)];
    });
  });
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

function defaultText(node: SchemaNode, isRequired: boolean): string {
  if (node.default !== undefined && typeof node.default !== "object") return `default ${String(node.default)}`;
  return isRequired && node.default === undefined ? "required" : "";
}
