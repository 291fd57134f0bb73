/** docs/api.md from the API's own document: a section for each route, and one for each object that routes share. */
import { cell, table } from "./markdown.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}
type Content = Readonly<Record<string, { readonly schema: Schema }>>;
interface Operation {
  readonly summary?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export function renderApi(document: Document): string {
  const routes = Object.entries(document.paths)
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })))
    .map(({ path, method, operation }) => renderRoute(`${method.toUpperCase()} ${path}`, operation));
  const objects = Object.entries(document.components.schemas)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, schema]) => `### ${name}\n\n${fieldTable(schema)}`);
  return `## Routes\n\n${routes.join("\n")}\n## Objects\n\n${objects.join("\n")}`;
}

function renderRoute(title: string, { summary, parameters = [], requestBody, responses }: Operation): string {
  const asked = parameters.map(({ name, in: where, required, description, schema }) => [
    `\`${name}\``,
    `${where}${required === true ? ", required" : ""}`,
    typeOf(schema),
    cell(description ?? schema.description ?? ""),
  ]);
  const body = requestBody === undefined ? "" : `Body: ${contentText(requestBody.content)}\n\n`;
  const answers = Object.entries(responses).map(([status, { description, content }]) => [
    status,
    cell(description),
    content === undefined ? "" : contentText(content),
  ]);
  return [
    `### ${title}\n\n${summary ?? ""}.\n\n`,
    asked.length === 0 ? "" : `${table(["parameter", "where", "type", "meaning"], asked)}\n`,
    body,
    table(["status", "meaning", "body"], answers),
  ].join("");
}

function contentText(content: Content): string {
  return Object.entries(content)
    .map(([type, { schema }]) => (type === "application/json" ? typeOf(schema) : `${typeOf(schema)} as \`${type}\``))
    .join(" or ");
}

/** Fields with those of inner objects behind them, as a jq path. */
function fieldTable(schema: Schema): string {
  const rows = fields(schema, "").map(([path, field, isThere]) => [
    `\`${path}\``,
    `${typeOf(field)}${isThere ? "" : ", may be absent"}`,
    cell(field.description ?? ""),
  ]);
  return rows.length === 0 ? `${typeOf(schema)}\n` : table(["field", "type", "meaning"], rows);
}

function fields(schema: Schema, path: string): [path: string, field: Schema, isThere: boolean][] {
  const shapes = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  const all = shapes.flatMap((shape): [string, Schema, boolean][] => {
    if (shape.items !== undefined && shape.$ref === undefined) return fields(shape.items, `${path}[]`);
    return Object.entries(shape.properties ?? {}).flatMap(([name, field]): [string, Schema, boolean][] => {
      const at = path === "" ? name : `${path}.${name}`;
      return [[at, field, shape.required?.includes(name) === true], ...fields(field, at)];
    });
  });
  const seen = new Set<string>();
  return all.filter(([at, field]) => {
    const key = `${at} ${typeOf(field)}`;
    return !seen.has(key) && seen.add(key) !== undefined;
  });
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split("/").at(-1)!;
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${word}\``).join(", ");
  if (schema.const !== undefined) return `\`${schema.const}\``;
  const several = schema.anyOf ?? schema.oneOf;
  if (several !== undefined) return [...new Set(several.map(typeOf))].join(" or ");
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  const type = typeof schema.type === "string" ? schema.type : (schema.type ?? []).join(" or ");
  if (type === "object" && typeof schema.additionalProperties === "object" && schema.properties === undefined)
    return `object of ${typeOf(schema.additionalProperties)}`;
  return type === "" ? "anything" : type;
}
