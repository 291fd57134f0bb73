/**
 * One copy of what many routes have in common: distinguishers, next hops, peers, targets, labels. Routes cross threads as copies, so
 * a hundred thousand of them would bring as many texts of the same few VTEPs.
 *
 * What is kept is bounded: a peer that invents texts only makes it begin anew.
 */
import type { EvpnRoute } from "./route.ts";

const MOST = 65_536;

export class Interned {
  private readonly texts = new Map<string, string>();
  private readonly lists = new Map<string, readonly (string | number)[]>();

  /** `route` with what is common in one copy. */
  route(route: EvpnRoute): EvpnRoute {
    const rd = this.text(route.rd);
    const nextHop = this.text(route.nextHop);
    const targets = this.list(route.targets);
    if (route.type !== 2) return { ...route, rd, nextHop, targets };
    // Field by field: a copy that is spread takes half as much again.
    return {
      type: 2,
      rd,
      tag: route.tag,
      nextHop,
      targets,
      encap: route.encap,
      mac: route.mac,
      ip: route.ip,
      labels: this.list(route.labels),
      segment: route.segment,
      sequence: route.sequence,
      isSticky: route.isSticky,
      isGateway: route.isGateway,
      routerMac: route.routerMac,
    };
  }

  text(text: string): string {
    const known = this.texts.get(text);
    if (known !== undefined) return known;
    if (this.texts.size >= MOST) this.texts.clear();
    this.texts.set(text, text);
    return text;
  }

  private list<T extends string | number>(list: readonly T[]): readonly T[] {
    const name = list.length === 1 ? String(list[0]) : list.join(" ");
    const kind = typeof list[0] === "number" ? `#${name}` : name;
    const known = this.lists.get(kind);
    if (known !== undefined) return known as readonly T[];
    if (this.lists.size >= MOST) this.lists.clear();
    this.lists.set(kind, list);
    return list;
  }
}
