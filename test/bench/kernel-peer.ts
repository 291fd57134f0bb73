/** The kernel as peer: a bridge and a vxlan device on each side, what one would pick on a single host. */
import { groundwork, machineVeths, type Peer, ready } from "./peer.ts";

export async function kernelPeer(): Promise<Peer> {
  const bed = await groundwork("bk");
  await machineVeths(bed);
  for (const [gateway, local, remote] of [
    ["gw1", 1, 2],
    ["gw2", 2, 1],
  ] as const) {
    await bed.ip(
      gateway,
      `link add vx type vxlan id 10 local 192.0.2.${local} remote 192.0.2.${remote} dstport 4789 dev ul0`,
      "link set vx up",
    );
    await bed.bridge(gateway, "br", ["vm", "vx"]);
  }
  await ready(bed, "kernel");
  return { name: "kernel", bed, daemons: [], remove: () => bed.remove() };
}
