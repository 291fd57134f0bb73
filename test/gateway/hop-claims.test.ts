/** A VM claims the next hop by which all that goes outside leaves: it is asked where it is known before the VM is believed (behaviour.md §3.11). */
import { describe, expect, it } from "vitest";
import { ARP_REPLY } from "../../src/wire/arp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { udp6 } from "../dataplane/packets6.ts";
import { article } from "./article.ts";
import { NET, Sites6, site6 } from "./host6.ts";

const BORDER = parseIpv4("10.1.1.2")!;

function warm() {
  const world = article({ outside: "static" });
  const [vm1, vm2] = [world.get("vm1"), world.get("vm2")];
  vm2.ping("50.1.1.1");
  world.settle();
  world.clear();
  const { agent, inventory } = world.gateways.get("gw1")!.control.shown;
  const claim = () => vm1.sendArp({ op: ARP_REPLY, senderIp: BORDER, targetIp: BORDER });
  const via = () => agent.neighbors.find(inventory.interface("vsi-interface10")!, BORDER)?.place?.port.name;
  return { world, vm2, claim, via };
}

describe("a VM that says it is the Border", () => {
  it("gets nothing of what goes outside while the Border lives, however often it says so", () => {
    const { world, vm2, claim, via } = warm();
    for (let n = 1; n <= 20; n++) {
      claim();
      world.settle();
      vm2.ping("50.1.1.1");
      world.advance(250);
      expect([n, via(), vm2.replies.length]).toEqual([n, "border", n]);
    }
  });

  it("is believed two seconds after the Border fell silent: it may have moved there", () => {
    const { world, claim, via } = warm();
    world.gateways.delete("border");
    claim();
    world.advance(2000);
    expect(via()).toBe("vm1");
  });
});

it("an IPv6 next hop at another site stays there, whatever a VM here advertises", () => {
  const { world, gw1, vm1, vm3, vm4 } = new Sites6();
  const hop = vm4.addresses[0]!;
  gw1.reload(`${site6(1)}routes: [{prefix: "::/0", nextHop: "2001:db8:10::12"}]\n`);
  vm3.ask(NET | 1n);
  world.settle();
  const dst = vm3.neighbors.get(NET | 1n)!;
  vm3.tap.send(udp6({ dst, src: vm3.mac, from: "2001:db8:10::13", to: "2001:db8:99::1" }));
  world.advance(2000);
  const { agent, inventory } = gw1.control.shown;
  const via = () => agent.neighbors.find(inventory.interface("if10")!, hop)?.place?.port.name;
  expect(via()).toBe("gw2");
  for (let n = 0; n < 20; n++) {
    vm1.tell(hop);
    world.advance(250);
    expect(via()).toBe("gw2");
  }
});
