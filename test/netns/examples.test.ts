/** docs/examples/kernel-peer.yaml beside the peer that its head describes: the commands are run as they stand there. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { read } from "../house/source.ts";
import { describeReal, type Gateways, openGateways, whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

const EXAMPLE = read("docs/examples/kernel-peer.yaml");

describeReal(whyNoGateways(), "the example of a kernel peer", () => {
  let gateways: Gateways;

  beforeAll(async () => {
    gateways = await openGateways("example");
    const { bed } = gateways;
    for (const name of ["gw1", "vm1", "kp", "vmk"]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "kp", "ul0");
    await bed.ip("gw1", "addr add 192.0.2.1/24 dev ul0");
    await bed.ip("kp", "addr add 192.0.2.2/24 dev ul0");
    await bed.veth("vmk", "eth0", "kp", "to-vmk", 1450);
    const commands = [...EXAMPLE.matchAll(/^# {3}(ip .*)$/gm)].flatMap(([, line]) => line!.split(" && "));
    expect(commands.length).toBeGreaterThanOrEqual(5);
    for (const command of commands) {
      const [program, ...words] = command.replace("DEVICE-OF-A-VM", "to-vmk").split(" ");
      await bed.must("kp", program!, words);
    }
    await bed.ip("vmk", "addr add 10.1.1.12/24 dev eth0", "route add default via 10.1.1.1");
    // What the bed decides: where the TAP is made, and where the control socket lies.
    const { node: _, control: __, ...config } = parse(EXAMPLE);
    config.acs[0].tap = { device: "eth0", netns: bed.name("vm1") };
    await gateways.start("gw1", config);
    await bed.ip("vm1", "link set dev eth0 up", "addr add 10.1.1.11/24 dev eth0");
  });
  afterAll(() => gateways?.remove());

  test("hosts of both sides reach each other, and the gateway from behind the kernel", async () => {
    const { bed } = gateways;
    await ping(bed, "vm1", "10.1.1.12");
    await ping(bed, "vmk", "10.1.1.11");
    await ping(bed, "vmk", "10.1.1.1");
  });
});
