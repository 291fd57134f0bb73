/** What the main thread orders of the BFD thread. */
import { expect, it } from "vitest";
import type { Inventory, TunnelPort } from "../../../src/control/inventory.ts";
import type { Config } from "../../../src/control/plan.ts";
import { createBoard } from "../../../src/liveness/bfd/board.ts";
import { BfdWatch } from "../../../src/liveness/bfd/watch.ts";
import { TunnelJudge } from "../../../src/liveness/judge.ts";

it("a drain that began before the first session is told to the thread that is started for it; one that has ended is not", () => {
  const orders: string[] = [];
  const ports = new Map<number, TunnelPort>();
  const judge = new TunnelJudge({ setTunnelUp: () => {}, drainTunnel: () => {} });
  const bed = () =>
    new BfdWatch({
      inventory: { ports, tunnels: () => [...ports.values()] } as unknown as Inventory,
      config: () => ({ underlay: { managementVni: 0 } }) as Config,
      judge,
      setSession: () => {},
      emit: () => {},
      openLink: () => ({
        board: createBoard(),
        setSessions: (all) => orders.push(`sessions ${all.map(({ remote }) => remote)}`),
        drain: (isDraining) => orders.push(`drain ${isDraining}`),
        close: () => {},
      }),
      kick: () => {},
      nowMs: () => 0,
    });
  const bfd = { mode: "auto", intervalMs: 300, multiplier: 3 };
  const tunnel = { name: "gw2", row: 1, config: { remote: "192.0.2.2", bfd } } as unknown as TunnelPort;
  const [drained, ended] = [bed(), bed()];
  for (const each of [drained, ended]) {
    each.look();
    each.drain(true);
  }
  ended.drain(false);
  ports.set(1, tunnel);
  drained.look();
  expect(orders).toEqual(["drain true", "sessions 192.0.2.2"]);
  orders.length = 0;
  ended.look();
  expect(orders).toEqual(["sessions 192.0.2.2"]);
});
