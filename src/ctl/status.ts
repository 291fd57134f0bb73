/** `vtepctl status`: is it well, and do the accounts balance? */
import type { Command } from "commander";
import type { Status } from "../api/schema.ts";
import { ask } from "./client.ts";
import { examples } from "./examples.ts";
import { printFacts, printValue, type Session } from "./output.ts";
import { shortAge } from "./table.ts";

export function addStatus(program: Command, session: Session): void {
  program
    .command("status")
    .description("is the daemon ready, what does it hold, does every frame have a fate")
    .addHelpText("after", examples("vtepctl status", "vtepctl status -o json | jq .ready"))
    .action(async () => {
      const status = await ask<Status>(session.socket, "/v1/status");
      if (session.output.form !== "table") return await printValue(session.output, status);
      await printFacts(facts(status));
    });
}

function facts(status: Status): [string, string][] {
  const { counts, ledger, underlay, config } = status;
  const { dataplane: data, control } = ledger;
  return [
    ["node", status.node],
    ["ready", status.ready ? "yes" : `no: ${status.missing.join("; ")}`],
    ["version", `${status.version} (Node ${status.nodeVersion}), pid ${status.pid}`],
    ["uptime", shortAge(status.uptimeSeconds)],
    ["underlay", `${underlay.address} port ${underlay.port}, MTU ${underlay.mtu}`],
    ["workers", String(status.workers)],
    ["VSIs", `${counts.vsis}, ${counts.interfaces} with a VSI-interface`],
    ["ports", `${counts.acsUp} of ${counts.acs} ACs up, ${counts.tunnels} tunnel${counts.tunnels === 1 ? "" : "s"}`],
    [
      "tables",
      `${counts.macs} MACs, ${counts.neighbors} neighbours, ${counts.routes} routes, ${counts.policies} policies`,
    ],
    ["frames in", `${data.received} received, ${data.injected} injected, ${data.copies} copies`],
    ["frames out", `${data.sent} sent, ${data.punted} punted, ${data.dropped} dropped (balance ${data.imbalance})`],
    [
      "control",
      `${control.drained} drained: ${control.consumed} consumed, ${control.reinjected} sent on, ` +
        `${control.dropped} dropped, ${control.held} held (balance ${control.imbalance})`,
    ],
    ["probing", probingText(status.probing)],
    ["config", configText(config)],
  ];
}

function probingText({ state, watched, reason, fix }: Status["probing"]): string {
  if (state === "off") return `off: ${reason}; fix: ${fix}`;
  return state === "unused"
    ? "not asked for (no tunnel has a keepalive)"
    : `${watched} tunnel${watched === 1 ? "" : "s"}`;
}

function configText(config: Status["config"]): string {
  const reload = config.lastReloadSuccessful ? "" : "; the last reload was refused";
  const restart = config.needsRestart.length > 0 ? `; needs a restart: ${config.needsRestart.join(", ")}` : "";
  return `${config.file}${reload}${restart}`;
}
