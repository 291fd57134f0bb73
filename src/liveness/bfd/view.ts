/** BFD in the words of the API: sessions, refusals and what each means. */
import { byText } from "../../api/by-text.ts";
import type { Bfd, BfdSession } from "../../api/schema-bfd.ts";
import type { TunnelPort } from "../../control/inventory.ts";
import { errnoText } from "../../io/addon.ts";
import type { BfdRefusal } from "./speaker.ts";
import type { BfdView, BfdWatch } from "./watch.ts";

export const REFUSAL_TEXTS: Readonly<Record<BfdRefusal, string>> = {
  not_bfd: "in the management VNI, and no BFD between VTEPs (RFC 8971 §6)",
  hop_count: "over one hop with another hop count than 255: a router was between, or it is forged (RFC 5881 §5)",
  too_short: "fewer than 24 bytes",
  version: "another version than 1",
  length: "its length is less than a packet's, or more than came",
  multiplier_zero: "a multiplier of 0",
  multipoint: "the multipoint bit",
  discriminator_zero: "it names no session of its sender",
  no_session_named: "it names no session of ours, and its sender's is up or nearly",
  authenticated: "it is authenticated, and no key is configured here",
  poll_and_final: "a question and an answer at once",
  unknown_session: "no session is configured with its sender, or the session that it names is gone",
  stranger: "it names the session of another peer",
};

/** null: the tunnel has no session. */
export function sessionOf(watch: BfdWatch, port: TunnelPort): BfdSession | null {
  const view = watch.view(port);
  return view === null ? null : shown(view);
}

export function bfdOf(watch: BfdWatch): Bfd {
  const counts = watch.refused();
  const last = watch.lastRefused;
  return {
    problem: watch.problem,
    sessions: watch
      .views()
      .map(shown)
      .sort((a, b) => byText(a.tunnel, b.tunnel)),
    refused: (Object.keys(REFUSAL_TEXTS) as BfdRefusal[]).map((reason) => ({
      reason,
      count: counts[reason],
      text: REFUSAL_TEXTS[reason],
    })),
    lastRefused:
      last === null
        ? null
        : { reason: last.reason, source: last.source, hops: last.hops, at: new Date(last.atMs).toISOString() },
  };
}

function shown({ tunnel, remote, config, figures, lastChange }: BfdView): BfdSession {
  const { mode, intervalMs, multiplier } = config;
  const peer = figures?.remote;
  return {
    ...{ tunnel, remote, mode, intervalMs, multiplier },
    state: figures?.state ?? "down",
    verdict: figures?.verdict ?? "unknown",
    diagnosis: figures?.diagnosis ?? "none",
    transmitMs: round(figures?.transmitMs ?? 0),
    detectionMs: round(figures?.detectionMs ?? 0),
    discriminator: figures?.discriminator ?? 0,
    peer: {
      state: peer?.state ?? "down",
      diagnosis: peer?.diagnosis ?? "none",
      discriminator: peer?.discriminator ?? 0,
      minRxMs: round(peer?.minRxMs ?? 0),
      desiredMinTxMs: round(peer?.desiredMinTxMs ?? 0),
      multiplier: peer?.multiplier ?? 0,
    },
    received: figures?.received ?? 0,
    sent: figures?.sent ?? 0,
    sendError: figures === null || figures.sendErrno === 0 ? null : errnoText(figures.sendErrno),
    late: figures?.late ?? 0,
    longestGapMs: round(figures?.longestGapMs ?? 0),
    changes: figures?.changes ?? 0,
    lastChange:
      lastChange === null
        ? null
        : {
            at: new Date(lastChange.atMs).toISOString(),
            from: lastChange.change.from,
            to: lastChange.change.to,
            diagnosis: lastChange.change.diagnosis,
            peerDiagnosis: lastChange.change.remoteDiagnosis,
          },
  };
}

/** Milliseconds to a microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
