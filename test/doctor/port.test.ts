/** Who has the underlay's UDP port: sockets of the other family are in the way only where they take its packets too. */
import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { checkPort } from "../../src/doctor/host.ts";

const hasIpv6 = existsSync("/proc/net/if_inet6");

it.skipIf(!hasIpv6).each<["udp4" | "udp6", string, string, string]>([
  ["udp4", "0.0.0.0", "fail", "ok"],
  ["udp6", "::1", "ok", "fail"],
  ["udp6", "::", "warn", "fail"],
  ["udp6", "::ffff:127.0.0.1", "fail", "ok"],
  ["udp6", "::ffff:127.0.0.2", "ok", "ok"],
])("%s bound to %s: with IPv4 %s, with IPv6 %s", async (type, bound, ipv4, ipv6) => {
  const socket = createSocket(type);
  await new Promise<void>((resolve) => socket.bind(0, bound, resolve));
  const { port } = socket.address();
  const checked = (address: string) => checkPort({ underlay: { address, port } });
  expect([checked("127.0.0.1").result, checked("::1").result]).toEqual([ipv4, ipv6]);
  if (ipv4 === "warn") expect(checked("127.0.0.1").text).toMatch(/may be taken by .+ \(pid \d+\), which has it of ::/);
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  expect([checked("127.0.0.1").result, checked("::1").result]).toEqual(["ok", "ok"]);
});
