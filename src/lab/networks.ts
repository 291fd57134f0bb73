/** The lab's other networks, each with a verb of its own: how one is brought up, and what is done on it. */
import { bringUpBorders } from "./borders/bed.ts";
import { runBorders } from "./borders/run.ts";
import { bringUpFabric } from "./evpn/bed.ts";
import { demandFabric } from "./evpn/requirements.ts";
import { runFabric } from "./evpn/run.ts";
import type { LabState } from "./state.ts";
import type { Mode } from "./topology.ts";

/** How the report is told. */
export interface Telling {
  /** One line for each step. */
  readonly brief?: true;
  /** A file for programs. */
  readonly json?: string;
  /** A page whose table is written. */
  readonly markdown?: string;
  /** Where the page is served. */
  readonly port?: number;
}

export interface Network {
  readonly description: string;
  /** Throws where this machine cannot have it. */
  readonly demand: () => void;
  readonly bringUp: (
    name: string | undefined,
    say: (text: string) => void,
    onClaimed: (state: LabState) => void,
  ) => Promise<LabState>;
  /** @returns what went wrong. */
  readonly run: (state: LabState, telling: Telling) => Promise<string[]>;
  /** A question worth asking on it. */
  readonly question: string;
  readonly hasBrief: boolean;
  readonly hasMarkdown: boolean;
}

export const NETWORKS: Readonly<Partial<Record<Mode, Network>>> = {
  evpn: {
    description: "a BGP EVPN fabric instead: FRR as route reflectors and as a leaf, gobgpd beside each gateway; root",
    demand: demandFabric,
    bringUp: bringUpFabric,
    run: runFabric,
    question: "show evpn",
    hasBrief: true,
    hasMarkdown: false,
  },
  borders: {
    description:
      "two Borders instead, one of which goes: killed, hung, cut, stopped, its line dead; each with its gap and what is lost",
    demand: () => undefined,
    bringUp: bringUpBorders,
    run: runBorders,
    question: "show route",
    hasBrief: true,
    hasMarkdown: true,
  },
};
