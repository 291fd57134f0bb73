/**
 * Who makes the walks: the namespace lab has a driver that empties all tables, pings and judges; elsewhere there is none, and a
 * walk is the user's own ping, watched.
 */
import type { Family } from "./article.ts";
import type { Lesson, ScenarioSaid } from "./said.ts";

/** What was asked of the article, and what was seen: by the driver's own eyes, not the gateways'. */
export interface JudgedRow {
  readonly row: string;
  readonly step: number | null;
  /** "ac vm1" or "gw1>gw2"; null: an entry of `table`. */
  readonly place: string | null;
  readonly table: string | null;
  readonly vni: number | null;
  readonly holds: boolean;
  readonly expected: string;
  readonly observed: string | null;
  /** Why it does not hold, or why it may be missing. */
  readonly note: string | null;
  /** The frame in hex, where one was seen. */
  readonly hex: string | null;
}

export interface Judged {
  /** Symbols of MAC addresses: G1.10, M5. */
  readonly names: Readonly<Record<string, string>>;
  readonly rows: readonly JudgedRow[];
  /** What came back to the one that pinged; null: nothing did. */
  readonly ttl: number | null;
  readonly expectedTtl: number;
}

/** The article's first scheme, in which one gateway routes for all, or its second. */
export type SchemeName = "distributed" | "centralized";

export interface Driver {
  readonly scenarios: readonly (ScenarioSaid & { readonly steps: Readonly<Record<number, string>> })[];
  readonly lesson: Lesson;
  /** Have the gateways run in this scheme, with cold tables, and the machines have addresses of this family. */
  prepare(scheme: SchemeName, family: Family, tell: (text: string) => void): Promise<void>;
  /** Ping; what was seen is judged where the article says what there should be. */
  run(scenario: number, family: Family, scheme: SchemeName): Promise<Judged | null>;
}
