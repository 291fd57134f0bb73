/**
 * A difference between two configurations as a list for people: what comes, what goes, and of what changes each key with its
 * value before and after, as a file would have them.
 *
 * Lists of one object are compared element by element, since `tunnels: [64 names] -> [65 names]` would hide the one that
 * matters. Rules of a policy have an order that means something, so they are compared by place.
 */
import type { Config, ConfigDiff, ListDiff } from "../control/plan.ts";
import { acForm, interfaceForm, isL3, policyForm, routeForm, trackForm, tunnelForm, vrfForm, vsiForm } from "./form.ts";

export interface Detail {
  /** Key inside the object, "mac.limit"; "" for a setting, whose name is its path. */
  readonly path: string;
  /** Null: it was not there. */
  readonly from: string | null;
  /** Null: it is not there any more. */
  readonly to: string | null;
}

export interface Change {
  readonly action: "add" | "remove" | "change";
  readonly kind: string;
  readonly name: string;
  readonly details: Detail[];
}

/** More of one object's details are counted only. */
const MOST_DETAILS = 50;

export function changesOf(diff: ConfigDiff, from: Config, to: Config): Change[] {
  const byName = (object: { readonly name: string }) => object.name;
  return [
    ...listChanges("tunnel", diff.tunnels, byName, tunnelForm),
    ...listChanges("vsi", written(diff.vsis), byName, (vsi) => ({ ...vsiForm(vsi), interface: vsi.interface })),
    ...listChanges("interface", written(diff.interfaces), byName, interfaceForm),
    ...listChanges("vrf", diff.vrfs, byName, vrfForm),
    ...listChanges("ac", diff.acs, byName, acForm),
    ...listChanges("route", diff.routes, (route) => `${route.prefix.text} in VRF ${route.vrf}`, routeForm),
    ...listChanges("policy", diff.policies, byName, policyForm),
    ...listChanges("track", diff.tracks, byName, trackForm),
    ...diff.settings.map((path): Change => {
      const detail = { path: "", from: valueText(valueAt(from, path)), to: valueText(valueAt(to, path)) };
      return { action: "change", kind: "setting", name: path, details: [detail] };
    }),
  ];
}

/** Without what follows from a VRF's L3VNI: no file has it. */
function written<T extends Config["vsis"][number] | Config["interfaces"][number]>(diff: ListDiff<T>): ListDiff<T> {
  return {
    added: diff.added.filter((each) => !isL3(each)),
    removed: diff.removed.filter((each) => !isL3(each)),
    changed: diff.changed.filter(({ to }) => !isL3(to)),
  };
}

function listChanges<T>(
  kind: string,
  { added, removed, changed }: ListDiff<T>,
  name: (object: T) => string,
  form: (object: T) => unknown,
): Change[] {
  return [
    ...removed.map((each): Change => ({ action: "remove", kind, name: name(each), details: [] })),
    ...changed.map(({ from, to }): Change => {
      const details: Detail[] = [];
      compare(form(from), form(to), "", details);
      return { action: "change", kind, name: name(to), details: bounded(details) };
    }),
    ...added.map((each): Change => ({ action: "add", kind, name: name(each), details: [] })),
  ];
}

function bounded(details: Detail[]): Detail[] {
  if (details.length <= MOST_DETAILS) return details;
  const more = details.length - MOST_DETAILS;
  return [...details.slice(0, MOST_DETAILS), { path: `and ${more} more`, from: null, to: null }];
}

function compare(from: unknown, to: unknown, path: string, details: Detail[]): void {
  if (isMapping(from) && isMapping(to)) {
    for (const key of new Set([...Object.keys(from), ...Object.keys(to)]))
      compare(from[key], to[key], path === "" ? key : `${path}.${key}`, details);
  } else if (Array.isArray(from) && Array.isArray(to)) compareLists(from, to, path, details);
  else add(details, path, valueText(from), valueText(to));
}

function compareLists(from: readonly unknown[], to: readonly unknown[], path: string, details: Detail[]): void {
  if (path === "rules") {
    for (let i = 0; i < Math.max(from.length, to.length); i++)
      add(details, `rules[${i}]`, valueText(from[i]), valueText(to[i]));
    return;
  }
  const [before, after] = [from.map(inline), to.map(inline)];
  const [was, is] = [new Set(before), new Set(after)];
  const gone = before.filter((text) => !is.has(text));
  const come = after.filter((text) => !was.has(text));
  for (const text of gone) add(details, path, text, null);
  for (const text of come) add(details, path, null, text);
  // The same elements in another order, where the order means something (the first address).
  if (gone.length + come.length === 0) add(details, path, inline(from), inline(to));
}

function add(details: Detail[], path: string, from: string | null, to: string | null): void {
  if (from !== to) details.push({ path, from, to });
}

function valueAt(config: Config, path: string): unknown {
  let value: unknown = config;
  for (const key of path.split(".")) value = isMapping(value) ? value[key] : undefined;
  return value;
}

/** A value as a file could have it, in one line; null: nothing is there. */
function valueText(value: unknown): string | null {
  return value === undefined || value === null ? null : inline(value);
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (!isMapping(value)) return String(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined && each !== null);
  return `{${entries.map(([key, each]) => `${key}: ${inline(each)}`).join(", ")}}`;
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
