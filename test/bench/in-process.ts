/** What needs no root: ns per frame of each stage and of the whole, collections, look-ups, and how cost grows. */
import { fileURLToPath } from "node:url";
import { must } from "../../src/lab/process.ts";
import { type Figures, note, valuesOf } from "./figures.ts";
import type { Options } from "./options.ts";
import { say } from "./screen.ts";

const CHILD = fileURLToPath(new URL("./forward-child.bundle.js", import.meta.url));
const DEADLINE_MS = 120_000;

const SCENARIOS: readonly (readonly [string, string])[] = [
  ["bridged", "bridge and encapsulate"],
  ["bridged6", "bridge and encapsulate IPv6"],
  ["routed", "route and encapsulate"],
  ["routed6", "route and encapsulate IPv6"],
  ["routed6:1", "the same by a prefix"],
  ["routed6:4", "the same behind three longer lengths"],
  ["renewed6:4", "the same, none of the destinations known"],
  ["decapsulated", "decapsulate and route"],
  ["flooded:8", "flood to 8 tunnels"],
];
const STAGES = ["load", "parse", "ingress", "source", "toCpu", "destination"];
/** Cost against size: what grows, in which scenario, to what. */
const GROWTH: readonly (readonly [string, string, readonly number[]])[] = [
  ["MACs in the table", "bridged", [0, 1000, 100_000]],
  ["VNIs of a tunnel", "decapsulated", [0, 100, 4000]],
  ["tunnels in the flood list", "flooded", [1, 8, 62]],
];
const ENTRIES = [1000, 100_000, 1_000_000];

export const forwardMetric = (label: string) => `forward(): ${label}, ns per frame`;
export const COLLECTIONS = "collections in 10 M frames of each family, route and encapsulate";

const child = (args: readonly string[], flags: readonly string[] = []) =>
  must(process.execPath, [...flags, CHILD, ...args], DEADLINE_MS);
const jsonOf = (text: string) => JSON.parse(text.trim().split("\n").at(-1)!) as Record<string, number>;
/** Of one scenario, alone in a process. */
export const forwardNs = (scenario: string) => nsOf(scenario, "forward");
const nsOf = async (scenario: string, stage: string) => jsonOf(await child(["time", scenario, stage])).ns!;

export async function forwardRounds(options: Options, figures: Figures): Promise<void> {
  for (let round = 0; round < Math.min(options.rounds, 3); round++) {
    for (const [scenario, label] of SCENARIOS)
      note(figures, forwardMetric(label), "vtepd", await nsOf(scenario, "forward"));
    const words = SCENARIOS.map(
      ([, label]) => `${label} ${valuesOf(figures, forwardMetric(label), "vtepd").at(-1)!.toFixed(1)}`,
    );
    say(`round ${round + 1}: forward(), ns per frame: ${words.join(", ")}`);
    let before = 0;
    for (const stage of STAGES) {
      const upTo = await nsOf("routed", stage);
      note(figures, `stage ${stage}, route and encapsulate, ns per frame`, "vtepd", upTo - before);
      before = upTo;
    }
  }
  let all = 0;
  for (const scenario of ["routed", "routed6"]) {
    const log = await child(["collect", scenario], ["--trace-gc"]);
    const between = log.slice(log.indexOf("begin\n"), log.indexOf("\nend"));
    const collections = between.split("\n").filter((line) => /Scavenge|Mark-Compact|Minor/.test(line)).length;
    all += collections;
    say(`collections in 10 M frames, ${scenario}: ${collections}`);
  }
  note(figures, COLLECTIONS, "vtepd", all);
}

export async function tableRounds(options: Options, figures: Figures): Promise<void> {
  for (const entries of options.isQuick ? ENTRIES.slice(0, 2) : ENTRIES) {
    const { hit, miss } = jsonOf(await child(["lookup", String(entries)]));
    note(figures, `look-up among ${entries.toLocaleString("en")}, found, ns`, "vtepd", hit!);
    note(figures, `look-up among ${entries.toLocaleString("en")}, not found, ns`, "vtepd", miss!);
    say(`look-up among ${entries}: ${hit!.toFixed(1)} ns, not found ${miss!.toFixed(1)} ns`);
  }
  if (options.isQuick) return;
  for (const [what, scenario, sizes] of GROWTH) {
    for (const size of sizes) {
      const ns = await nsOf(`${scenario}:${size}`, "forward");
      note(figures, `${what}: ${size.toLocaleString("en")}, ns per frame`, "vtepd", ns);
      say(`${what}: ${size}: ${ns.toFixed(1)} ns per frame`);
    }
  }
}
