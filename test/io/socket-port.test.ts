/** Ports of our own sockets, as the kernel lists them. */
import { createSocket } from "node:dgram";
import { readdirSync, readlinkSync } from "node:fs";
import { expect, it } from "vitest";
import { localPorts } from "../../src/io/socket-port.ts";

/** By number of their sockets' files; those that were open before are left out. */
const sockets = () =>
  readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
      } catch {
        return false;
      }
    });

it("each of IPv4 and IPv6 has its port; what is no UDP socket has none", async () => {
  const before = new Set(sockets());
  const made = [createSocket("udp4"), createSocket("udp6")];
  await Promise.all(
    made.map((socket, i) => new Promise<void>((resolve) => socket.bind(0, ["127.0.0.1", "::1"][i]!, resolve))),
  );
  const found = localPorts(sockets().filter((fd) => !before.has(fd)));
  expect(found.filter((port) => port !== null).sort()).toEqual(made.map((socket) => socket.address().port).sort());
  expect(localPorts([0, 99_999])).toEqual([null, null]);
  for (const socket of made) socket.close();
});
