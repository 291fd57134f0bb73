/** What `npm run bench -- …` is asked for. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

export const PARTS = ["forward", "tables", "tcp", "udp", "ping", "requests", "memory", "evpn"] as const;
export type Part = (typeof PARTS)[number];

export interface Options {
  readonly isQuick: boolean;
  readonly rounds: number;
  /** Of one TCP transfer or ping run; the probes of the packet rates are shorter. */
  readonly seconds: number;
  readonly only: ReadonlySet<Part>;
  /** Where the JSON goes; undefined: .set-up/bench.json. */
  readonly json: string | undefined;
  readonly readme: boolean;
  /** Another built tree of vtepd, measured as a peer of its own; undefined: none. */
  readonly against: string | undefined;
}

export const USAGE = `usage: npm run bench -- [options]
  --quick              within three minutes: one round, fewer sizes and wires
  --rounds N           rounds, peers interleaved in each (default 5; --quick 1)
  --seconds S          length of one transfer (default 3; --quick 1)
  --only a,b           of: ${PARTS.join(", ")}
  --json FILE          where the figures go (default .set-up/bench.json)
  --against DIR        compare with the vtepd built in that tree, interleaved; without Open vSwitch
  --readme             write the table between the bench markers of docs/performance.md
evpn is measured only where it is named: it takes two minutes. Without root only forward and tables run.`;

export function parseOptions(words: readonly string[]): Options {
  const value = new Map<string, string>();
  const flags = new Set<string>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === "--quick" || word === "--readme") flags.add(word);
    else if (["--rounds", "--seconds", "--only", "--json", "--against"].includes(word) && words[i + 1] !== undefined) {
      value.set(word, words[++i]!);
    } else throw new Error(word === "--help" ? USAGE : `"${word}" is not understood\n${USAGE}`);
  }
  const isQuick = flags.has("--quick");
  const number = (name: string, standard: number) => {
    const found = Number(value.get(name) ?? standard);
    if (!(found > 0 && found <= 1000)) throw new Error(`${name} ${value.get(name)}: a positive number\n${USAGE}`);
    return found;
  };
  return {
    isQuick,
    rounds: Math.ceil(number("--rounds", isQuick ? 1 : 5)),
    seconds: number("--seconds", isQuick ? 1 : 3),
    only: new Set((value.get("--only") ?? PARTS.filter((part) => part !== "evpn").join(",")).split(",").map(partOf)),
    json: value.get("--json"),
    readme: flags.has("--readme"),
    against: treeOf(value.get("--against")),
  };
}

function treeOf(folder: string | undefined): string | undefined {
  if (folder === undefined) return undefined;
  const tree = resolve(folder);
  if (existsSync(join(tree, "dist/main.js"))) return tree;
  throw new Error(`--against ${folder}: nothing is built there; run in it: npm run build`);
}

function partOf(name: string): Part {
  const part = PARTS.find((one) => one === name);
  if (part === undefined) throw new Error(`--only: "${name}" is none of ${PARTS.join(", ")}\n${USAGE}`);
  return part;
}
