/**
 * YAML text to plain values, with the way back from every value to its place in the text.
 *
 * The `yaml` package reads; we walk its tree ourselves instead of calling `toJS()`, because the walk has to refuse
 * what a configuration never needs and an attacker may want: duplicate keys (two wishes, one of which would win
 * silently), keys that reach into JavaScript objects (`__proto__`), alias bombs, several documents in one file,
 * nesting deeper than any real configuration. Depth is bounded while the text is still tokens, before anything
 * recursive sees it, and duplicate keys are found with a Set: the package's own search is quadratic.
 *
 * Nothing here knows what the keys mean. All errors of the text are reported; after a syntax error the values are not
 * looked at, since what the parser guessed is not what the operator wrote.
 */
import { Composer, type Document, isAlias, isMap, isScalar, isSeq, Lexer, type Node, type Pair, Parser } from "yaml";
import { type ConfigError, clip, errorAt, errorOf, lineOf, MAX_ERRORS, pathText } from "./error.ts";
import type { Path } from "./json-schema.ts";

export const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 32;
const MAX_ALIASES = 100;
/** Values after aliases are followed. */
const MAX_VALUES = 200_000;
/** Words and punctuation marks: some ten thousand routes. It bounds the time of a reading, which stops the gateway's main thread. */
const MAX_LEXEMES = 200_000;
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

export interface Place {
  readonly offset: number;
  readonly length: number;
}

/** A part of the file and what is wrong there. */
export interface Fault {
  readonly path: Path;
  readonly rule: string;
  readonly message: string;
  readonly fix: string;
}

/** A file that is good YAML. */
export interface Source {
  readonly value: unknown;
  /** Where a value could not be read (and was reported): what stands there instead means nothing. */
  readonly spoilt: readonly Path[];
  /** An error at a path: at the key itself ("key") or at what stands behind it ("value"). */
  fault(fault: Fault, at: "key" | "value"): ConfigError;
}

export function readSource(text: string, file: string): { source: Source | null; errors: ConfigError[] } {
  if (text.length > MAX_BYTES || Buffer.byteLength(text) > MAX_BYTES) {
    return refused(
      errorOf(file, "too-large", "the file is larger than 1 MiB", "a configuration is a few kilobytes; split it"),
    );
  }
  return new Reading(text, file).read();
}

function refused(...errors: ConfigError[]): { source: null; errors: ConfigError[] } {
  return { source: null, errors };
}

/** One reading of one text. */
class Reading implements Source {
  value: unknown = null;
  readonly spoilt: Path[] = [];
  private readonly text: string;
  private readonly file: string;
  private readonly starts: number[] = [0];
  private readonly errors: ConfigError[] = [];
  private readonly nodes = new WeakMap<object, Node>();
  private readonly anchors = new Map<string, Node>();
  private readonly open = new Set<Node>();
  private aliases = 0;
  private values = 0;

  constructor(text: string, file: string) {
    this.text = text;
    this.file = file;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.starts.push(at + 1);
  }

  read(): { source: Source | null; errors: ConfigError[] } {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: YAML 1.2 §5.1 excludes these characters
    const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.exec(this.text);
    if (control !== null) {
      const code = control[0].charCodeAt(0).toString(16).padStart(2, "0");
      this.at(
        control.index,
        1,
        [],
        "bad-character",
        `character 0x${code} may not stand in YAML`,
        "remove it; is this a text file?",
      );
      return refused(...this.errors);
    }
    const document = this.text.trim() === "" ? null : this.compose();
    if (document === null && this.errors.length === 0) return refused(this.empty());
    if (document === null || this.errors.length > 0) return refused(...this.errors);
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
      return refused(this.empty());
    }
    this.value = this.valueOf(document.contents, [], 0);
    return { source: this, errors: this.errors };
  }

  fault(fault: Fault, at: "key" | "value"): ConfigError {
    const place = this.locate(fault.path, at);
    return errorAt(this.file, this.text, this.starts, place, { ...fault, path: pathText(fault.path) });
  }

  private at(offset: number, length: number, path: Path, rule: string, message: string, fix: string): void {
    if (this.errors.length >= MAX_ERRORS) return;
    const what = { path: pathText(path), rule, message, fix };
    this.errors.push(errorAt(this.file, this.text, this.starts, { offset, length }, what));
  }

  private compose(): Document.Parsed | null {
    const parser = new Parser();
    const tokens = [];
    let lexemes = 0;
    for (const lexeme of new Lexer().lex(this.text)) {
      for (const token of parser.next(lexeme)) tokens.push(token);
      if (++lexemes > MAX_LEXEMES) {
        this.at(parser.offset, 1, [], "too-many-values", "the file holds too many values", "split it, or use prefixes");
        return null;
      }
      // A nested collection takes at most two places on the parser's stack.
      if (parser.stack.length > 2 * MAX_DEPTH) {
        const fix = "no key of vtepd lies that deep; look above for an open bracket or two colons in a line";
        this.at(parser.offset, 1, [], "too-deep", `nested deeper than ${MAX_DEPTH} levels`, fix);
        return null;
      }
    }
    for (const token of parser.end()) tokens.push(token);
    const composer = new Composer({
      version: "1.2",
      schema: "core",
      uniqueKeys: false,
      prettyErrors: false,
      strict: true,
    });
    const documents = [...composer.compose(tokens, true, this.text.length)] as Document.Parsed[];
    const [document, second] = documents;
    const lines = new Set<number>();
    const end = this.text.trimEnd().length;
    for (const error of [...document!.errors, ...document!.warnings]) {
      // What is never closed is found missing at the end of the text: the last line that says something is nearer.
      const offset = Math.min(error.pos[0], end);
      // The first complaint about a line is the cause, further ones are its echo.
      const line = lineOf(this.starts, offset);
      if (lines.has(line) || lines.size >= MAX_ERRORS) continue;
      lines.add(line);
      const [message, fix] = explainSyntax(error.code, error.message);
      this.at(offset, Math.max(1, error.pos[1] - error.pos[0]), [], "syntax", message, fix);
    }
    if (second !== undefined) {
      const offset = second.contents?.range?.[0] ?? second.range[0];
      this.at(
        offset,
        1,
        [],
        "several-documents",
        "a second YAML document begins here",
        "one file holds one configuration",
      );
    }
    if (document!.directives?.yaml.explicit && document!.directives.yaml.version !== "1.2") {
      this.at(0, 1, [], "yaml-version", "only YAML 1.2 is read", "remove the %YAML line");
    }
    return document!;
  }

  private valueOf(node: Node | null, path: Path, depth: number): unknown {
    if (node === null) return null;
    if (++this.values > MAX_VALUES) {
      const first = this.values === MAX_VALUES + 1;
      return first ? this.spoil(node, path, "too-many-values", "too many values", "use fewer aliases") : null;
    }
    if (depth > MAX_DEPTH) {
      return this.spoil(
        node,
        path,
        "too-deep",
        `nested deeper than ${MAX_DEPTH} levels`,
        "no key of vtepd lies that deep",
      );
    }
    if (isAlias(node)) return this.follow(node, node.source, path, depth);
    if ("anchor" in node && node.anchor !== undefined) this.anchors.set(node.anchor, node);
    if (isScalar(node)) return node.value;
    if (!isMap(node) && !isSeq(node)) return null;
    this.open.add(node);
    const value = isMap(node)
      ? this.mapping(node.items as Pair[], path, depth)
      : this.list(node.items as Node[], path, depth);
    this.open.delete(node);
    this.nodes.set(value, node);
    return value;
  }

  private follow(node: Node, anchor: string, path: Path, depth: number): unknown {
    const target = this.anchors.get(anchor);
    const name = clip(anchor);
    if (target === undefined) {
      return this.spoil(node, path, "bad-alias", `*${name} has no anchor &${name} before it`, "write the value itself");
    }
    if (this.open.has(target)) {
      return this.spoil(node, path, "bad-alias", `*${name} contains itself`, "write the value itself");
    }
    if (++this.aliases > MAX_ALIASES) {
      const first = this.aliases === MAX_ALIASES + 1;
      const message = `more than ${MAX_ALIASES} aliases`;
      return first ? this.spoil(node, path, "too-many-aliases", message, "write the values themselves") : null;
    }
    return this.valueOf(target, path, depth + 1);
  }

  private spoil(node: Node, path: Path, rule: string, message: string, fix: string): null {
    this.spoilt.push(path);
    this.atNode(node, path, rule, message, fix);
    return null;
  }

  private mapping(pairs: Pair[], path: Path, depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    const seen = new Map<string, number>();
    for (const pair of pairs) {
      if (this.values > MAX_VALUES) break;
      const keyNode = pair.key as Node | null;
      if (!isScalar(keyNode) || keyNode.value === null || typeof keyNode.value === "object") {
        this.atNode(keyNode, path, "bad-key", "a key must be plain text", "write key: value");
        continue;
      }
      const key = String(keyNode.value);
      const inner = [...path, key];
      if (FORBIDDEN.has(key)) {
        this.atNode(keyNode, inner, "forbidden-key", `the key ${key} is refused`, "remove it");
        continue;
      }
      const first = seen.get(key);
      if (first !== undefined) {
        const line = lineOf(this.starts, first) + 1;
        this.atNode(
          keyNode,
          inner,
          "duplicate-key",
          `the key ${clip(key)} stands here twice, first in line ${line}`,
          "keep one of them",
        );
        continue;
      }
      seen.set(key, keyNode.range?.[0] ?? 0);
      value[key] = this.valueOf(pair.value as Node | null, inner, depth + 1);
    }
    return value;
  }

  private list(nodes: Node[], path: Path, depth: number): unknown[] {
    const value: unknown[] = [];
    for (const [index, node] of nodes.entries()) {
      if (this.values > MAX_VALUES) break;
      value.push(this.valueOf(node, [...path, index], depth + 1));
    }
    return value;
  }

  private empty(): ConfigError {
    return errorOf(this.file, "empty", "the file is empty", "begin with node: and underlay:");
  }

  private atNode(node: Node | null, path: Path, rule: string, message: string, fix: string): void {
    const { offset, length } = placeOf(node);
    this.at(offset, length, path, rule, message, fix);
  }

  /** The place of a path, or of the nearest enclosing value that exists. */
  private locate(path: Path, at: "key" | "value"): Place {
    let value = this.value;
    let place = placeOf(isObject(value) ? (this.nodes.get(value) ?? null) : null);
    for (const [index, step] of path.entries()) {
      const node = isObject(value) ? this.nodes.get(value) : undefined;
      if (node === undefined) return place;
      if (isSeq(node)) {
        const item = node.items[Number(step)] as Node | undefined;
        if (item === undefined) return place;
        place = placeOf(item);
      } else if (isMap(node)) {
        const pair = (node.items as Pair[]).find(
          (each) => isScalar(each.key) && String(each.key.value) === String(step),
        );
        if (pair === undefined) return keyPlace(node.items[0]) ?? place;
        const last = index === path.length - 1;
        const behind = pair.value as Node | null;
        const empty = behind === null || (isScalar(behind) && behind.source === "");
        const block = isMap(behind) || isSeq(behind);
        place =
          last && (at === "key" || empty || block) ? placeOf(pair.key as Node) : placeOf(behind ?? (pair.key as Node));
      }
      value = isObject(value) ? (value as Record<string | number, unknown>)[step] : undefined;
    }
    return place;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function keyPlace(item: unknown): Place | null {
  const key = (item as Pair | undefined)?.key;
  return key === undefined || key === null ? null : placeOf(key as Node);
}

function placeOf(node: Node | null): Place {
  const range = node?.range;
  return range ? { offset: range[0], length: Math.max(1, range[1] - range[0]) } : { offset: 0, length: 1 };
}

/** The package's syntax errors in the operator's words. */
function explainSyntax(code: string, message: string): [string, string] {
  switch (code) {
    case "TAB_AS_INDENT":
      return ["a tab is used as indentation, which YAML forbids", "indent with blanks, two for each level"];
    case "BAD_INDENT":
      return [
        "the indentation does not fit the lines above",
        "align the keys of one mapping in one column, and close every bracket and quote above",
      ];
    case "MISSING_CHAR":
      if (message.startsWith("Implicit map keys"))
        return ["a key without a value", "write key: value, with a blank after the colon"];
      if (message.startsWith("Sequence item"))
        return ["neither an entry of the list above nor a key of it", "align it, or begin it with a hyphen"];
      return [clip(message, 120), "close what is open: a quote, a bracket or a brace"];
    case "UNRESOLVED_TAG":
    case "TAG_RESOLVE_FAILED":
      return ["a tag (!…) is used, which has no meaning here", "remove the tag"];
    case "BAD_ALIAS":
      return [
        "an alias (*name) is not well formed",
        "write the value itself, or put text that begins with * or & in quotes",
      ];
    default:
      return [clip(message, 160), "check quotes, brackets, colons and indentation in this line and the one above"];
  }
}
