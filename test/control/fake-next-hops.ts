/** A neighbour table that only counts who is held, and dies and revives when told. */
import type { InterfaceObject } from "../../src/control/inventory.ts";
import type { NextHops } from "../../src/control/routes/next-hops.ts";
import { formatIpv4, type Ipv4 } from "../../src/wire/ipv4.ts";

export class FakeNextHops implements NextHops {
  /** "interface ip" by adjacency, while somebody holds it. */
  readonly held = new Map<number, { on: InterfaceObject; name: string; count: number }>();
  private readonly dead = new Set<number>();
  private readonly callbacks: ((adjacency: number, alive: boolean) => void)[] = [];
  private next = 1;

  hold(on: InterfaceObject, ip: Ipv4): number {
    const name = `${on.name} ${formatIpv4(ip)}`;
    for (const [adjacency, entry] of this.held)
      if (entry.on === on && entry.name === name) {
        entry.count++;
        return adjacency;
      }
    this.held.set(this.next, { on, name, count: 1 });
    return this.next++;
  }

  release(adjacency: number): void {
    const entry = this.held.get(adjacency);
    if (entry === undefined) throw new Error(`adjacency ${adjacency} is released more often than it was held`);
    if (--entry.count === 0) this.held.delete(adjacency);
  }

  isAlive(adjacency: number): boolean {
    return !this.dead.has(adjacency);
  }

  onChange(callback: (adjacency: number, alive: boolean) => void): void {
    this.callbacks.push(callback);
  }

  set(adjacency: number, alive: boolean): void {
    if (alive) this.dead.delete(adjacency);
    else this.dead.add(adjacency);
    for (const callback of this.callbacks) callback(adjacency, alive);
  }

  /** The adjacency of "interface ip". */
  of(name: string): number {
    for (const [adjacency, entry] of this.held) if (entry.name === name) return adjacency;
    throw new Error(`${name} is not held`);
  }

  names(): string[] {
    return [...this.held.values()].map((entry) => entry.name).sort();
  }
}
