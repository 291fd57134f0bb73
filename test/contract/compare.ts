/**
 * What of an older surface a newer one has taken away: the judge of "only additions".
 *
 * An API document is compared as a tree. Where a client reads (answers), nothing may go; where it writes (parameters, request
 * bodies), nothing may be asked for that was not asked for before. Words for people (descriptions) are no contract.
 */

type Tree = { readonly [key: string]: unknown };

/** Where a client writes. */
const WRITTEN = /\/(parameters|requestBody|schemas\/[A-Za-z]+Request)\b/;
const WORDS = new Set(["description", "summary", "title", "example", "examples", "info"]);
const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

/** Paths of `before` that `now` lacks or says otherwise, and what `now` asks for in addition. */
export function lost(before: unknown, now: unknown, path = ""): string[] {
  if (isTree(before)) {
    if (!isTree(now)) return [`${path}: gone`];
    // What a client writes may be one of several things now.
    const choices = WRITTEN.test(path) && !("anyOf" in before) ? now.anyOf : undefined;
    if (Array.isArray(choices) && choices.some((choice) => lost(before, choice, path).length === 0)) return [];
    const added = /\/requestBody\b/.test(path) ? newlyRequired(before, now, path) : [];
    const kept = Object.keys(before)
      .filter((key) => !WORDS.has(key) || path.endsWith("/properties"))
      .flatMap((key) => (key in now ? lost(before[key], now[key], `${path}/${key}`) : [`${path}/${key}: gone`]));
    return [...added, ...kept];
  }
  if (Array.isArray(before)) return Array.isArray(now) ? lostOfList(before, now, path) : [`${path}: gone`];
  return before === now ? [] : [`${path}: ${JSON.stringify(before)} became ${JSON.stringify(now)}`];
}

function newlyRequired(before: Tree, now: Tree, path: string): string[] {
  const had = (before.required ?? []) as unknown[];
  const has = (now.required ?? []) as unknown[];
  if (!Array.isArray(has) || !Array.isArray(had)) return [];
  return has.filter((key) => !had.includes(key)).map((key) => `${path}/required: ${key} is asked for`);
}

function lostOfList(before: readonly unknown[], now: readonly unknown[], path: string): string[] {
  if (path.endsWith("/parameters")) return lostOfParameters(before as Parameter[], now as Parameter[], path);
  // A list of words may have more of them. Of alternatives, each one that was allowed is allowed still.
  return before.flatMap((value, i) => {
    const tries = now.map((other) => lost(value, other, `${path}/${i}`));
    return tries.some((misses) => misses.length === 0)
      ? []
      : isTree(value) && tries[i] !== undefined
        ? tries[i]
        : [`${path}: ${JSON.stringify(value)} is gone`];
  });
}

type Parameter = { readonly name: string; readonly required?: boolean };

function lostOfParameters(before: readonly Parameter[], now: readonly Parameter[], path: string): string[] {
  const known = new Map(now.map((parameter) => [parameter.name, parameter]));
  const had = new Set(before.map(({ name }) => name));
  const asked = now.filter(({ name, required }) => required === true && !had.has(name));
  return [
    ...before.flatMap((old) => lost(old, known.get(old.name), `${path}/${old.name}`)),
    ...asked.map(({ name }) => `${path}/${name}: is asked for`),
  ];
}

/** Metrics ("name kind labels") that are gone, or have another kind, or have lost a label. */
export function lostMetrics(before: readonly string[], now: readonly string[]): string[] {
  const known = new Map(now.map((line) => [line.split(" ")[0]!, line.split(" ")]));
  return before.flatMap((line) => {
    const [name, kind, labels] = line.split(" ");
    const found = known.get(name!);
    if (found === undefined) return [`${name}: gone`];
    if (found[1] !== kind) return [`${name}: ${kind} became ${found[1]}`];
    const has = found[2]!.split(",");
    // A label that is added splits each series of a dashboard.
    return labels === found[2] ? [] : [`${name}: labels ${labels} became ${has.join(",")}`];
  });
}

/** Keys ("path: words; required") that are gone, allow less, or are required now. */
export function lostKeys(before: readonly string[], now: readonly string[]): string[] {
  const parse = (line: string) => {
    const [path, facts] = line.split(/: (.*)/) as [string, string];
    const [type, required] = facts.split("; ");
    return { path, words: type!.split(" | "), required: required === "required" };
  };
  const known = new Map(now.map(parse).map((key) => [key.path, key]));
  const had = new Set(before.map((line) => parse(line).path));
  const gone = before.map(parse).flatMap(({ path, words, required }) => {
    const found = known.get(path);
    if (found === undefined) return [`${path}: gone`];
    const less = words.filter((word) => !found.words.includes(word)).map((word) => `${path}: ${word} is gone`);
    return found.required && !required ? [...less, `${path}: is required`] : less;
  });
  // A new key may be required in an object that is new with it, and nowhere else: also where a list held but texts so far.
  const isNew = (path: string) =>
    path.includes(".") && !before.some((line) => line.startsWith(path.slice(0, path.lastIndexOf(".") + 1)));
  const asked = [...known.values()].filter(({ path, required }) => required && !had.has(path) && !isNew(path));
  return [...gone, ...asked.map(({ path }) => `${path}: is required`)];
}
