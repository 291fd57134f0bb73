/** The lists every name of a fate is made from. */
import { describe, expect, it } from "vitest";
import {
  COMMAND_ATTACH_PEER,
  COMMAND_ATTACH_TAP,
  COMMAND_DETACH,
  COMMAND_WRITE_TAP,
  CounterBlock,
  DROP,
  DROPS,
  INJECT,
  INJECTS,
  imbalance,
  PUNT,
  PUNTS,
  RECORD_LEARN,
  RECORD_STALE,
  RECORD_TOO_BIG,
  sumOf,
  total,
} from "../../src/tables/counters.ts";
import { create } from "../../src/tables/layout.ts";

/** The drop reasons that are a contract with dashboards and people, as the interface description lists them. */
const CONTRACT = `runt, too_big, inner_vlan, ac_unbound, reserved_mac, bad_src_mac, own_mac_local, unknown_vtep,
  unknown_vni, bad_flags, reserved_bits, ecn, vxlan_truncated, same_port, split_horizon, flood_disabled, arp_malformed,
  arp_not_local, arp_src_mismatch, arp_martian, arp_gw_spoof, ip_malformed, ip_checksum, ip_martian, ip_options,
  ttl_exceeded, no_route, discard_route, policy_drop, policy_next_hop_dead, unresolved_queue_full, unresolved_timeout, l3_loop, storm_limited,
  punt_limited, punt_ring_full, icmp_limited, mac_limit, arp_limit, move_damped, gso_bad, csum_bad, pool_exhausted,
  tap_full, tap_error, tx_again, tx_error, tunnel_down, overlay_to_underlay, anti_spoof, not_forwarded, shutting_down,
  dhcp_malformed, dhcp_untrusted, dhcp_guard,
  nd_malformed, nd_not_local, nd_src_mismatch, nd_martian, nd_gw_spoof, nd_ra_guard, nd_undetermined, port_security, looped,
  link_isolated, not_gleaned`;

describe("names", () => {
  it("the drop reasons are exactly those of the contract", () => {
    expect(DROPS.map(([name]) => name).sort()).toEqual(CONTRACT.split(/[,\s]+/).sort());
  });

  it("every name is unique, usable as a label, and has a sentence", () => {
    for (const list of [DROPS, PUNTS, INJECTS] as const) {
      const names = list.map(([name]) => name as string);
      expect(new Set(names).size).toBe(names.length);
      for (const [name, sentence] of list) {
        expect(name).toMatch(/^[a-z0-9_]+$/);
        expect(sentence.length, name).toBeGreaterThan(8);
        expect(sentence).not.toContain("|");
      }
    }
    const sentences = DROPS.map(([, sentence]) => sentence as string);
    expect(new Set(sentences).size).toBe(sentences.length);
  });

  it("numbers start at one, are dense, and record kinds do not collide with classes", () => {
    expect(Object.values(DROP)).toEqual(DROPS.map((_, i) => i + 1));
    expect(DROPS[DROP.shutting_down - 1]![0]).toBe("shutting_down");
    const punted = [...Object.values(PUNT), RECORD_LEARN, RECORD_TOO_BIG, RECORD_STALE];
    expect(new Set(punted).size).toBe(punted.length);
    const commands = [COMMAND_ATTACH_TAP, COMMAND_ATTACH_PEER, COMMAND_DETACH, COMMAND_WRITE_TAP];
    const injected = [...Object.values(INJECT), ...commands];
    expect(new Set(injected).size).toBe(injected.length);
  });
});

describe("CounterBlock", () => {
  it("has a cell for every reason and class", () => {
    const block = create((carver) => new CounterBlock(carver)).columns;
    expect(block.drops.length).toBeGreaterThan(DROPS.length);
    expect(block.punted.length).toBeGreaterThan(PUNTS.length);
    expect(block.injected.length).toBeGreaterThan(INJECTS.length);
  });

  it("imbalance is what came in minus what found its fate, over all blocks", () => {
    const blocks = create((carver) => [new CounterBlock(carver), new CounterBlock(carver)]).columns;
    const [a, b] = blocks as [CounterBlock, CounterBlock];
    a.received[0] = 10;
    a.injected[INJECT.flood] = 2;
    a.copies[0] = 3;
    a.sent[0] = 8;
    a.punted[PUNT.arp] = 4;
    a.drops[DROP.runt] = 2;
    expect(imbalance(blocks)).toBe(1);
    b.drops[DROP.shutting_down] = 1;
    expect(imbalance(blocks)).toBe(0);
    expect(total(a.drops)).toBe(2);
    expect(sumOf(blocks, (block) => total(block.drops))).toBe(3);
  });
});
