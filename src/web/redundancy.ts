/** What the gateways lean on: tracks, next hops that are dead, BFD sessions, and whether one leaves. */

import type { Status } from "../api/schema.ts";
import type { Bfd } from "../api/schema-bfd.ts";
import type { HeldHop } from "../api/schema-next-hop.ts";
import type { Track } from "../api/schema-tracks.ts";
import { Refusal } from "../ctl/client.ts";
import { askGateway, MOST_ROWS } from "./answers.ts";
import type { RedundancyGateway, RedundancySaid } from "./said-redundancy.ts";

/** Uses of one that are told on. */
const MOST_USES = 8;

/** A gateway that is older than a question of these says nothing of it. */
async function orNothing<T>(question: Promise<T>, nothing: T): Promise<T> {
  try {
    return await question;
  } catch (error) {
    if (error instanceof Refusal && error.code === "not_found") return nothing;
    throw error;
  }
}

/** A few names, whatever was answered: a gateway of before names all, and counts none. */
function inShort<T extends { readonly uses: readonly string[]; readonly useCount?: number }>(row: T) {
  return { ...row, uses: row.uses.slice(0, MOST_USES), useCount: row.useCount ?? row.uses.length };
}

/** @param nodeOf the name of the gateway behind a socket. */
export async function redundancyOf(
  sockets: readonly string[],
  nodeOf: (socket: string) => string,
): Promise<RedundancySaid> {
  const gateways = sockets.map(async (socket): Promise<RedundancyGateway> => {
    const node = nodeOf(socket);
    try {
      const [{ missing }, tracks, dead, bfd] = await Promise.all([
        askGateway<Status>(socket, "/v1/status"),
        orNothing(askGateway<Track[]>(socket, "/v1/tracks"), []),
        orNothing(askGateway<HeldHop[]>(socket, "/v1/next-hops?dead=true"), []),
        orNothing(askGateway<Pick<Bfd, "problem" | "sessions">>(socket, "/v1/bfd"), { problem: null, sessions: [] }),
      ]);
      const draining = missing.find((what) => what.startsWith("draining")) ?? null;
      return {
        node,
        error: null,
        draining,
        tracks: tracks.map(inShort),
        dead: dead.slice(0, MOST_ROWS).map(inShort),
        ...bfd,
      };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const nothing = { draining: null, tracks: [], dead: [], problem: null, sessions: [] };
      return { node, error: error.message, ...nothing };
    }
  });
  return { gateways: await Promise.all(gateways) };
}
