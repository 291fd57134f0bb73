/**
 * The schema as JSON Schema: what `vtepd schema` prints and editors complete from, and what the parser looks up
 * descriptions, known keys and ranges in when it has to explain a mistake.
 *
 * It describes what one writes (zod's input side), so values that the schema parses (addresses, MACs) are strings
 * here.
 */
import { z } from "zod";
import { FILE } from "./schema.ts";

/** As much of JSON Schema as zod emits for our file. */
export interface SchemaNode {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

export type Path = readonly (string | number)[];

let known: SchemaNode | undefined;

/** Everything the parser knows; made when somebody asks, which a start with a good file does not. */
function whole(): SchemaNode {
  known ??= z.toJSONSchema(FILE, { io: "input" }) as SchemaNode;
  return known;
}

/** A fresh JSON Schema of the file, for people and editors. */
export function jsonSchema(): SchemaNode {
  return { ...structuredClone(whole()), title: "vtepd configuration" };
}

/** The schemas that may apply at a path: several where alternatives are allowed, none where the path leads nowhere. */
export function schemasAt(path: Path): SchemaNode[] {
  let nodes = alternatives(whole());
  for (const step of path) {
    nodes = nodes
      .map((node) => (typeof step === "number" ? node.items : own(node.properties, step)))
      .filter((node) => node !== undefined)
      .flatMap(alternatives);
  }
  return nodes;
}

function alternatives(node: SchemaNode): SchemaNode[] {
  return [node, ...(node.anyOf ?? []).flatMap(alternatives)];
}

function own(properties: SchemaNode["properties"], key: string): SchemaNode | undefined {
  return properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : undefined;
}

/** Keys that may stand in the object at a path. */
export function keysAt(path: Path): string[] {
  return schemasAt(path).flatMap((node) => Object.keys(node.properties ?? {}));
}

/** What the manual says about a path, or "". */
export function descriptionAt(path: Path): string {
  return schemasAt(path).find((node) => node.description !== undefined)?.description ?? "";
}

/** Where a key is at home, as people write it ("vsis[].vni"): for keys that stand in the wrong place. */
export function homesOf(key: string): string[] {
  const homes: string[] = [];
  const visit = (node: SchemaNode, path: string): void => {
    for (const each of alternatives(node)) {
      for (const [name, value] of Object.entries(each.properties ?? {})) {
        const home = path === "" ? name : `${path}.${name}`;
        if (name === key) homes.push(home);
        visit(value, home);
      }
      if (each.items !== undefined) visit(each.items, `${path}[]`);
    }
  };
  visit(whole(), "");
  return [...new Set(homes)];
}
