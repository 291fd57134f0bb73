/**
 * Broken configuration files, made from one good file by replacing one line or adding one, and the test that reads a
 * table of them: the complaint must come at the right line, under the right key, with the right words, and alone, since
 * a second complaint would be an echo that hides the cause.
 */
import { expect, test } from "vitest";
import { type ConfigError, formatErrors } from "../../src/config/error.ts";
import { parseConfig } from "../../src/config/load.ts";

/** Six lines of a good file, so that a table row begins in line 7. */
export const BASE = `node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
tunnels: [{name: gw2, remote: 192.0.2.2}]
vsis: [{name: v1, vni: 1}, {name: v2, vni: 2}, {name: up}]
interfaces: [{name: i1, vsi: v1, address: 10.1.1.1/24}, {name: i2, vsi: v2, address: 20.1.1.1/24, vrf: blue}]
acs: [{name: a1, vsi: v1, tap: {device: t1}}]
`;

/** BASE with some of its lines (by key) replaced. */
export function base(replaced: Record<string, string>): string {
  return BASE.replace(/^(\w+): .*$/gm, (line, key: string) => replaced[key] ?? line);
}

export const underlay = (keys: string): string => base({ underlay: `underlay: {address: 192.0.2.1, ${keys}}` });
export const tunnels = (items: string): string => base({ tunnels: `tunnels: [${items}]` });
export const vsis = (v1: string, more = ""): string =>
  base({ vsis: `vsis: [{name: v1, vni: 1, ${v1}}, {name: v2, vni: 2}, {name: up}${more}]` });
export const interfaces = (items: string): string => base({ interfaces: `interfaces: [${items}]` });
export const i1 = (keys: string): string => interfaces(`{name: i1, vsi: v1, address: 10.1.1.1/24, ${keys}}`);
export const acs = (items: string): string => base({ acs: `acs: [${items}]` });
export const routes = (items: string): string => `${BASE}routes: [${items}]\n`;
export const rule = (keys: string): string => `${BASE}policies: [{name: p, interfaces: [i1], rules: [{${keys}}]}]\n`;

export type Row = readonly [what: string, text: string, line: number, path: string, says: string];

export function errorsOf(text: string): readonly ConfigError[] {
  const result = parseConfig(text, "gw1.yaml");
  return "errors" in result ? result.errors : [];
}

/** One test for each row. */
export function testRows(rows: readonly Row[]): void {
  test.each(rows)("%s", (_what, text, line, path, says) => {
    const errors = errorsOf(text);
    const all = formatErrors(errors);
    expect(all).toContain(says);
    expect(errors.length, all).toBe(1);
    expect(errors[0], all).toMatchObject({ file: "gw1.yaml", line, path });
    expect(errors[0]!.fix).not.toBe("");
    if (line > 0) expect(errors[0]!.text.length, all).toBeGreaterThanOrEqual(errors[0]!.caret);
  });
}
