/** `vtepctl status`: is it well, and do the accounts balance? Of several gateways, a row each. */
import type { Command } from "commander";
import type { Status } from "../api/schema.ts";
import { plural } from "../wire/plural.ts";
import { ask } from "./client.ts";
import { examples } from "./examples.ts";
import { type Answer, answerForm, askAll, failFor, isFleet } from "./fleet.ts";
import { type Output, printFacts, printList, printValue, type Session } from "./output.ts";
import { refresh, type Watch, watched, watchOf } from "./refresh.ts";
import { type Column, shortAge } from "./table.ts";
import { write } from "./terminal.ts";

const PATH = "/v1/status";

export function addStatus(program: Command, session: Session): void {
  watched(program.command("status"))
    .description("is the daemon ready, what does it hold, does every frame have a fate; of several, a row each")
    .option("-w, --wide", "of several gateways: all columns")
    .addHelpText(
      "after",
      examples("vtepctl status", "vtepctl status -o json | jq .ready", "vtepctl status --fleet /run/vtepd --watch"),
    )
    .action(async ({ watch, wide }: { watch?: Watch | true; wide?: true }) => {
      if (isFleet(session)) {
        const read = () => askAll<Status>(session.sockets, PATH);
        return await refresh(session, watchOf(watch), read, async (output, answers) => {
          await printFleet(output, answers, wide === true);
          if (watch === undefined) failFor(answers);
        });
      }
      const read = () => ask<Status>(session.socket, PATH);
      await refresh(session, watchOf(watch), read, async (output, status) => {
        if (output.form === "table") await printFacts(facts(status));
        else await printValue(output, status);
      });
    });
}

const FLEET: readonly Column<Answer<Status>>[] = [
  { title: "NODE", of: ({ node }) => node },
  { title: "READY", of: ({ value }) => (value === null ? "no answer" : value.ready) },
  { title: "VTEP", of: ({ value }) => value?.underlay.address ?? null },
  { title: "UPTIME", of: ({ value }) => shortAge(value?.uptimeSeconds ?? null), right: true, rank: 1, measured: true },
  { title: "ACS-UP", of: ({ value }) => (value ? `${value.counts.acsUp}/${value.counts.acs}` : null), right: true },
  { title: "TUNNELS-UP", of: ({ value }) => tunnelsText(value), right: true, rank: 4, measured: true },
  { title: "MACS", of: ({ value }) => value?.counts.macs ?? null, right: true, rank: 3, measured: true },
  { title: "NEIGHBORS", of: ({ value }) => value?.counts.neighbors ?? null, right: true, rank: 3, measured: true },
  {
    title: "DROPPED",
    of: ({ value }) => (value === null ? null : droppedBy(value)),
    right: true,
    rank: 2,
    measured: true,
  },
  { title: "VERSION", of: ({ value }) => value?.version ?? null, rank: 5 },
  { title: "SOCKET", of: ({ socket }) => socket, rank: 6 },
];

async function printFleet(output: Output, answers: readonly Answer<Status>[], isWide: boolean): Promise<void> {
  if (output.form !== "table")
    return await printValue(
      output,
      answers.map((answer) => answerForm(answer, { status: answer.value })),
    );
  await printList(output, answers, FLEET, { isWide });
  for (const { node, value, refusal } of answers) {
    if (refusal !== null) await write(`${node}: ${refusal.message}\n`);
    else if (!value!.ready) await write(`${node}: not ready: ${value!.missing.join("; ")}\n`);
  }
}

/** As many as `show drops` adds up to: what forwarding dropped, and what control did after it was punted. */
function droppedBy({ ledger }: Status): number {
  return ledger.dataplane.dropped + ledger.control.dropped;
}

/** "2/3"; of a daemon that does not say how many are up, how many there are. */
function tunnelsText(status: Status | null): string | null {
  if (status === null) return null;
  const { tunnels, tunnelsUp } = status.counts;
  return tunnelsUp === undefined ? String(tunnels) : `${tunnelsUp}/${tunnels}`;
}

function tunnelsWords({ tunnels, tunnelsUp }: Status["counts"]): string {
  return tunnelsUp === undefined ? plural(tunnels, "tunnel") : `${tunnelsUp} of ${plural(tunnels, "tunnel")} up`;
}

function facts(status: Status): [string, string][] {
  const { counts, ledger, underlay, config } = status;
  const { dataplane: data, control } = ledger;
  return [
    ["node", status.node],
    ["ready", status.ready ? "yes" : `no: ${status.missing.join("; ")}`],
    ["version", `${status.version} (Node ${status.nodeVersion}), pid ${status.pid}`],
    ["uptime", shortAge(status.uptimeSeconds)],
    [
      "underlay",
      `${underlay.address} port ${underlay.port}, MTU ${underlay.mtu}${underlay.problem == null ? "" : `: ${underlay.problem}`}`,
    ],
    ["workers", String(status.workers)],
    ["VSIs", `${counts.vsis}, ${counts.interfaces} with a VSI-interface`],
    ["ports", `${counts.acsUp} of ${counts.acs} ACs up, ${tunnelsWords(counts)}`],
    [
      "tables",
      [
        plural(counts.macs, "MAC"),
        plural(counts.neighbors, "neighbour"),
        plural(counts.routes, "route"),
        plural(counts.policies, "policy", "policies"),
      ].join(", "),
    ],
    ...wayFacts(counts),
    ["frames in", `${data.received} received, ${data.injected} injected, ${data.copies} copies`],
    ["frames out", `${data.sent} sent, ${data.punted} punted, ${data.dropped} dropped (balance ${data.imbalance})`],
    [
      "control",
      `${control.drained} drained: ${control.consumed} consumed, ${control.reinjected} sent on, ` +
        `${control.dropped} dropped, ${control.held} held (balance ${control.imbalance})`,
    ],
    ["dropped", droppedText(status)],
    ["probing", probingText(status.probing)],
    ["config", configText(config)],
    // A daemon that an upgrade has not restarted yet says nothing of them.
    ...(status.sockets === undefined
      ? []
      : [["sockets", status.sockets.map(socketText).join(", ")] as [string, string]]),
  ];
}

/** Of a gateway that has some: next hops and tracks, and how many of them are gone. */
function wayFacts({
  nextHops = 0,
  nextHopsDead = 0,
  tracks = 0,
  tracksDown = 0,
}: Status["counts"]): [string, string][] {
  const dead = nextHopsDead === 0 ? "" : `, ${nextHopsDead} dead (show next-hop --dead -w)`;
  const down = tracksDown === 0 ? "" : `, ${tracksDown} down (show track)`;
  const all: [string, string, number][] = [
    ["next hops", `${nextHops}${dead}`, nextHops],
    ["tracks", `${tracks}${down}`, tracks],
  ];
  return all.flatMap(([name, text, count]) => (count === 0 ? [] : [[name, text] as [string, string]]));
}

function socketText({ name, path, group, readOnly }: Status["sockets"][number]): string {
  const to = readOnly ? ` (read-only, group ${group ?? "of the daemon"})` : "";
  return `${name} ${path}${to}`;
}

function droppedText(status: Status): string {
  const { dataplane, control } = status.ledger;
  const sum = droppedBy(status);
  return sum === 0 ? "none" : `${sum}: ${dataplane.dropped} by forwarding, ${control.dropped} by control (show drops)`;
}

function probingText({ state, watched, by, reason, fix }: Status["probing"]): string {
  if (state === "off") return `off: ${reason}; fix: ${fix}`;
  if (state === "unused") return "by ICMP: not asked for (no tunnel has a keepalive)";
  return `${plural(watched, "tunnel")}${by === null ? "" : `, by a ${by} socket`}`;
}

function configText(config: Status["config"]): string {
  const reload = config.lastReloadSuccessful ? "" : "; the last reload was refused";
  const restart = config.needsRestart.length > 0 ? `; needs a restart: ${config.needsRestart.join(", ")}` : "";
  return `${config.file}${reload}${restart}`;
}
