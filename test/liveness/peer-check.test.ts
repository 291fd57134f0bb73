/** What the doctor says of a tunnel's peer: whether it answers, and whether full packets get there. */
import { expect, it } from "vitest";
import type { Tunnel } from "../../src/api/schema.ts";
import type { Check } from "../../src/api/schema-doctor.ts";
import type { PingResult } from "../../src/api/schema-probe.ts";
import { peerChecks } from "../../src/liveness/peer-check.ts";
import { UNWATCHED } from "../api/fake-source.ts";

const traffic = { packets: 5, bytes: 500 };
const TUNNEL: Tunnel = {
  name: "gw2",
  remote: "192.0.2.2",
  up: true,
  state: "unwatched",
  mtu: 1450,
  vsis: ["vsi10"],
  probe: UNWATCHED,
  receive: traffic,
  transmit: traffic,
};
const REPLY: PingResult = { kind: "reply", length: 64, rttMs: 0.25, mtu: null, reason: null, fix: null };

type Ping = (tunnel: string, length: number) => Promise<PingResult>;

/** All of it for one tunnel, over an underlay of 1500 bytes. */
async function checksOf(ping: Ping, tunnel: Tunnel): Promise<Check[]> {
  const checks = peerChecks(
    () => [tunnel],
    () => 1500,
    ping,
  );
  return (await Promise.all(checks.map((check) => check()))).flat();
}

const examined = async (ping: Ping, tunnel = TUNNEL) =>
  (await checksOf(ping, tunnel)).find(({ name }) => name === "peer gw2")!;

it("that answers is told with its round trip, and its path where that is known", async () => {
  const ping = async () => REPLY;
  expect((await checksOf(ping, TUNNEL)).map(({ name, text }) => [name, text])).toEqual([
    ["peer gw2", "192.0.2.2 answers in 0.250 ms"],
  ]);
  const [, wide] = await checksOf(ping, { ...TUNNEL, probe: { ...UNWATCHED, pathMtu: 1500 } });
  expect(wide).toMatchObject({ name: "path MTU to gw2", result: "ok" });
  const [, narrow] = await checksOf(ping, { ...TUNNEL, probe: { ...UNWATCHED, pathMtu: 1400 } });
  expect(narrow).toMatchObject({ result: "warn", text: "1400 bytes, where the underlay has 1500" });
});

it("silent: a warning, and a failure where somebody asked to watch it", async () => {
  const ping = async (): Promise<PingResult> => ({ ...REPLY, kind: "lost", rttMs: null });
  expect(await examined(ping)).toMatchObject({ result: "warn" });
  const probe = { ...UNWATCHED, keepalive: { intervalMs: 1000, multiplier: 3 } };
  const check = await examined(ping, { ...TUNNEL, up: false, probe });
  expect(check).toMatchObject({ result: "fail" });
  expect(check.text).toBe("192.0.2.2 does not answer an echo, and the tunnel is down");
});

it("that cannot be asked says why and what to do", async () => {
  const ping = async (): Promise<PingResult> => ({
    ...REPLY,
    kind: "off",
    rttMs: null,
    reason: "no right",
    fix: "give it",
  });
  expect(await examined(ping)).toMatchObject({ result: "warn", fix: "give it" });
});

it("that loses one echo and answers the next: nothing is wrong", async () => {
  let asked = 0;
  const ping = async (): Promise<PingResult> => (++asked === 1 ? { ...REPLY, kind: "lost" } : REPLY);
  expect(await examined(ping)).toMatchObject({ result: "ok" });
});

it("one echo is as long as our longest datagram: a smaller MTU at one end alone is seen", async () => {
  const lengths: number[] = [];
  const ping = async (_: string, length: number): Promise<PingResult> => {
    lengths.push(length);
    return length <= 1400 ? REPLY : { ...REPLY, kind: "lost", rttMs: null };
  };
  const check = await examined(ping);
  expect(check).toMatchObject({
    result: "warn",
    text: "192.0.2.2 answers in 0.250 ms, but 1500 bytes with DF, as long as we may send, get no answer",
  });
  expect(check.fix).toContain("vtepctl ping gw2 --mtu");
  expect(lengths).toEqual([64, 1500, 1500]);
  const tooBig = async (_: string, length: number): Promise<PingResult> =>
    length <= 1400 ? REPLY : { ...REPLY, kind: "tooBig", rttMs: null, mtu: 1400 };
  expect((await examined(tooBig)).text).toContain("are too long: a router says 1400");
  // What the path is known to carry is what we send.
  const narrow = { ...TUNNEL, probe: { ...UNWATCHED, pathMtu: 1400 } };
  expect(await examined(ping, narrow)).toMatchObject({ result: "ok" });
});
