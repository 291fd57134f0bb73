/**
 * The doctor where no daemon answers: `doctor.js [FILE]`, started by `vtepctl doctor`, prints a Diagnosis as JSON.
 *
 * It looks at the machine with the eyes of the configuration that a daemon would run with, and asks the peers itself; the exit
 * code is vtepctl's business.
 */

import { type Check, type Diagnosis, fail, ok, warn } from "../api/schema-doctor.ts";
import { loadConfig } from "../config/load.ts";
import { Inventory, type TunnelPort } from "../control/inventory.ts";
import type { Config } from "../control/plan.ts";
import { deviceMtuFor } from "../io/underlay.ts";
import { createProber } from "../liveness/assemble.ts";
import { checkPeer } from "../liveness/peer-check.ts";
import { examineHost } from "./host.ts";

async function examine(file: string | undefined): Promise<Check[]> {
  if (file === undefined) {
    const text = "none was named: only what every gateway needs is looked at";
    return [warn("config", text, "vtepctl doctor -c FILE"), ...examineHost(null, false)];
  }
  const result = loadConfig(file);
  if ("errors" in result) {
    const { line, path, message } = result.errors[0]!;
    const more = result.errors.length > 1 ? ` (and ${result.errors.length - 1} more)` : "";
    const text = `${file}:${line}: ${path}: ${message}${more}`;
    return [fail("config", text, `vtepd check -c ${file} shows all of it`), ...examineHost(null, false)];
  }
  const checks = [ok("config", `${file} is valid`), ...examineHost(result.config, false)];
  const isBroken = checks.some(({ name, result }) => result === "fail" && /^(addon|underlay|raw)/.test(name));
  return isBroken ? checks : [...checks, ...(await askPeers(result.config))];
}

/** An echo or two to each peer, by a prober of our own. */
async function askPeers(config: Config): Promise<Check[]> {
  const inventory = new Inventory();
  const ports = config.tunnels.map((tunnel, i): TunnelPort => {
    const common = { row: i + 1, io: i + 1, vsi: null, mtu: 0 } as const;
    const state = { up: true, wanted: true, draining: false, lingering: false };
    return {
      ...common,
      ...state,
      kind: "tunnel",
      name: tunnel.name,
      config: { ...tunnel, keepalive: null, bfd: null },
    };
  });
  for (const port of ports) inventory.addPort(port);
  const nothing = () => undefined;
  const prober = createProber({
    inventory,
    tables: null,
    topology: { config, setTunnelUp: nothing, setPathMtu: nothing },
    emit: nothing,
    deviceMtu: () => deviceMtuFor(config.underlay.address).mtu,
    kick: nothing,
  });
  const { address, mtu } = config.underlay;
  const longest = mtu === "auto" ? deviceMtuFor(address).mtu : mtu;
  const checks = await Promise.all(
    ports.map((port, i) => {
      const { name, remote } = config.tunnels[i]!;
      const peer = { name, remote, isWatched: false, isUp: true, longest };
      return checkPeer(peer, (length) => prober.ping(port, length));
    }),
  );
  prober.close();
  return checks;
}

const diagnosis: Diagnosis = { checks: await examine(process.argv[2]) };
process.stdout.write(`${JSON.stringify(diagnosis)}\n`);
