/**
 * The values of a file through the schema, so that one reading tells everything that is certainly wrong.
 *
 * A section that the schema refuses would silence all rules that need it, and its mistakes would hide theirs until the next
 * try. So what is obvious is mended in a copy, for the rest of this reading alone: a misspelt key is read as the one that was
 * meant, an unknown one is left out, a misspelt word is read as the right one. What still cannot be read is left out of its
 * list where nothing but its name is asked for by others; those names are then spoken of no more (`isEcho`).
 */
import type { z } from "zod";
import { MAX_ERRORS, pathText } from "./error.ts";
import { explain, type Found, type Repair, unknownKey } from "./explain.ts";
import type { Path } from "./json-schema.ts";
import type { LeftOut } from "./left-out.ts";
import type { Sections } from "./rules-l2.ts";
import { FILE } from "./schema.ts";

/** A repair may uncover what was hidden behind it, one level deeper. */
const MOST_PASSES = 6;
/** Lists of which a part is enough for the rules. */
const DIVISIBLE = new Set(["tunnels", "vsis", "interfaces", "vrfs", "acs", "routes", "policies", "tracks"]);
/** Rules that ask what all VSI-interfaces together cover: silent where one of them could not be read. */
const NEED_ALL_INTERFACES = new Set(["next-hop", "unknown-vrf"]);

type Mapping = Record<string, unknown>;

/** One reading of the values of one file. */
export class Values {
  readonly found: Found[] = [];
  readonly sections: Sections;
  /** What is wrong inside a refused key, or follows from a value that could not be read, is not worth a word. */
  private readonly silent: readonly Path[];
  /** By the path of a key that was read as another one: how it is written. */
  private readonly written = new Map<string, string>();
  /** Of a list without its broken elements: which ones are left. */
  private readonly left = new Map<string, readonly number[]>();
  /** Names of elements that were left out, and of VSIs that their VSI-interface would have bound. */
  private readonly lost = new Set<string>();
  /** Those elements. */
  readonly leftOut: LeftOut[] = [];

  /** @param spoilt paths that the text of the file has spoilt already. */
  constructor(file: Readonly<Mapping>, spoilt: readonly Path[]) {
    this.silent = spoilt;
    const value: Mapping = { ...file };
    const present = Object.keys(file);
    for (const key of present.filter((each) => !Object.hasOwn(FILE.shape, each)).slice(0, MAX_ERRORS)) {
      const fault = unknownKey([], key, present);
      this.found.push(fault);
      this.repair(value, fault.repair!);
    }
    const sections: Mapping = {};
    for (const [key, schema] of Object.entries(FILE.shape)) sections[key] = this.section(key, schema, value);
    this.sections = sections as unknown as Sections;
  }

  /** A fault of a rule, unless it speaks of what was left out. */
  add(fault: Found): void {
    if (!this.isEcho(fault)) this.tell([fault]);
  }

  /** A fault of an element that was left out: its index is the file's own. */
  addLeftOut(fault: Found): void {
    const names = new Set(this.leftOut.map(({ element }) => element.name));
    if (!this.isFull && !wordsOf(fault).some((word) => names.has(word))) this.found.push(fault);
  }

  get isFull(): boolean {
    return this.found.length >= MAX_ERRORS;
  }

  private section(key: string, schema: z.ZodType, file: Mapping): unknown {
    let isOurs = false;
    /** Read as text in the meantime: told where nothing more is wrong with the text. */
    const unquoted = new Map<string, Found>();
    for (let pass = 0; ; pass++) {
      const result = schema.safeParse(file[key], { reportInput: true });
      if (result.success) {
        this.tell([...unquoted.values()]);
        return result.data;
      }
      const faults = result.error.issues
        .slice(0, MAX_ERRORS)
        .flatMap((issue) => explain(issue, [key]))
        .filter(({ path }) => !this.silent.some((each) => within(path, each)));
      for (const { path } of faults) unquoted.delete(pathText(path));
      const mendable = pass < MOST_PASSES ? faults.filter(({ repair }) => repair !== undefined) : [];
      for (const fault of mendable) if (fault.repair!.isUnquoted) unquoted.set(pathText(fault.path), fault);
      if (mendable.length > 0) this.tell(mendable.filter(({ repair }) => repair!.isUnquoted !== true));
      else this.tell([...faults, ...unquoted.values()]);
      if (this.isFull) return null;
      if (mendable.length === 0)
        return faults.length > 0 ? this.part(key, schema, file[key], result.error.issues) : null;
      if (!isOurs) file[key] = structuredClone(file[key]);
      isOurs = true;
      for (const { repair } of mendable) this.repair(file, repair!);
    }
  }

  private tell(faults: readonly Found[]): void {
    for (const fault of faults) if (!this.isFull) this.found.push({ ...fault, path: this.asWritten(fault.path) });
  }

  private repair(file: Mapping, { at, key, as, value }: Repair): void {
    let target: unknown = file;
    for (const step of at) target = (target as Mapping)?.[step as string];
    if (typeof target !== "object" || target === null) return;
    const mapping = target as Mapping;
    if (value !== undefined) mapping[key] = value;
    else {
      if (as !== undefined && !Object.hasOwn(mapping, as)) {
        mapping[as] = mapping[key];
        this.written.set(pathText([...at, as]), String(key));
      }
      delete mapping[key];
    }
  }

  /** The elements of a list that can be read; null where they are not enough. */
  private part(key: string, schema: z.ZodType, value: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
    if (!DIVISIBLE.has(key) || !Array.isArray(value)) return null;
    const broken = new Set(issues.map(({ path }) => path[0]));
    const nameless = issues.some(({ path }) => path.length < 2 || path[1] === "name");
    if (nameless || ![...broken].every((index) => typeof index === "number")) return null;
    const left = value.map((_, index) => index).filter((index) => !broken.has(index));
    const result = schema.safeParse(left.map((index) => value[index]));
    if (!result.success) return null;
    for (const index of broken) {
      const element = value[index as number] as Readonly<Record<string, unknown>>;
      this.leftOut.push({ section: key, index: index as number, element });
      const { name, vsi, vsis } = element;
      // A VSI whose VSI-interface could not be read is not without one.
      const names = key === "interfaces" ? [name, vsi, ...(Array.isArray(vsis) ? vsis : [])] : [name];
      for (const each of names) if (typeof each === "string") this.lost.add(each);
    }
    this.left.set(key, left);
    return result.data;
  }

  /** Does a rule miss what was left out? */
  private isEcho(fault: Found): boolean {
    if (this.left.has("interfaces") && NEED_ALL_INTERFACES.has(fault.rule)) return true;
    return this.lost.size > 0 && wordsOf(fault).some((word) => this.lost.has(word));
  }

  /** A path as the file has it. */
  private asWritten(path: Path): Path {
    const [section, index] = path;
    const left = typeof section === "string" ? this.left.get(section) : undefined;
    const real = left !== undefined && typeof index === "number" ? [section!, left[index]!, ...path.slice(2)] : path;
    if (this.written.size === 0) return real;
    return real.map((step, i) => this.written.get(pathText(real.slice(0, i + 1))) ?? step);
  }
}

/** What a message speaks of. */
function wordsOf({ message }: Found): string[] {
  return message.split(/[^\w.-]+/);
}

function within(path: Path, outer: Path): boolean {
  return outer.every((step, index) => path[index] === step);
}
