/** What BFD brings to those who ask: its sessions, their figures, and whether they are well. */
import { addBfd } from "../../api/bfd.ts";
import type { Feature, Row } from "../../api/feature.ts";
import { STATES } from "../../wire/bfd.ts";
import { checkBfd } from "./check.ts";
import { bfdOf } from "./view.ts";
import type { BfdWatch } from "./watch.ts";

export function bfd(watch: BfdWatch): Feature {
  return {
    routes: (app) => addBfd(app, () => bfdOf(watch)),
    rows: bfdRows(watch),
    checks: [() => checkBfd(bfdOf(watch))],
    everySecond: () => watch.look(),
    applied: () => watch.look(),
    close: () => watch.close(),
  };
}

export function bfdRows(watch: BfdWatch): Row[] {
  const ofSession = (kind: Row["kind"], name: string, help: string, value: (of: Figures) => number): Row => ({
    kind,
    name,
    help,
    labels: ["tunnel"],
    *values() {
      for (const { tunnel, figures } of watch.views()) if (figures !== null) yield [{ tunnel }, value(figures)];
    },
  });
  return [
    ofSession("gauge", "vtep_bfd_state", "State of the BFD session: 0 adminDown, 1 down, 2 init, 3 up", ({ state }) =>
      STATES.indexOf(state),
    ),
    ofSession("gauge", "vtep_bfd_draining", "1 while the tunnel's peer says that it leaves", ({ verdict }) =>
      verdict === "draining" ? 1 : 0,
    ),
    ofSession(
      "gauge",
      "vtep_bfd_detection_seconds",
      "Silence of the peer until the session is down",
      ({ detectionMs }) => detectionMs / 1000,
    ),
    ofSession(
      "gauge",
      "vtep_bfd_longest_gap_seconds",
      "Longest time between two packets of the peer while the session was up: near vtep_bfd_detection_seconds false alarms begin",
      ({ longestGapMs }) => longestGapMs / 1000,
    ),
    ofSession("counter", "vtep_bfd_late_total", "Packets later than one and a half intervals", ({ late }) => late),
    {
      kind: "counter",
      name: "vtep_bfd_packets_total",
      help: "BFD control packets of sessions",
      labels: ["tunnel", "direction"],
      *values() {
        for (const { tunnel, figures } of watch.views()) {
          if (figures === null) continue;
          yield [{ tunnel, direction: "received" }, figures.received];
          yield [{ tunnel, direction: "sent" }, figures.sent];
        }
      },
    },
    {
      kind: "counter",
      name: "vtep_bfd_transitions_total",
      help: "Changes of a session's state, ten in a second at most, with the diagnosis (RFC 5880 section 4.1)",
      labels: ["tunnel", "to", "diagnosis"],
      *values() {
        for (const { tunnel, to, diagnosis, count } of watch.transitionCounts())
          yield [{ tunnel, to, diagnosis }, count];
      },
    },
    {
      kind: "counter",
      name: "vtep_bfd_refused_total",
      help: "Datagrams to BFD's ports that were refused",
      labels: ["reason"],
      *values() {
        for (const [reason, count] of Object.entries(watch.refused())) yield [{ reason }, count];
      },
    },
  ];
}

type Figures = NonNullable<ReturnType<BfdWatch["views"]>[number]["figures"]>;
