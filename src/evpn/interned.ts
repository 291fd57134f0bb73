/**
 * One copy of what many routes have in common: the attributes of hosts, distinguishers, next hops, peers, targets, labels. Routes
 * cross threads as copies, so a hundred thousand of them would bring as many of the same few VTEPs.
 *
 * What is kept is bounded: a peer that invents texts only makes it begin anew.
 */
import { type EvpnRoute, type HostAttributes, HostRoute, ipOf, type MacRoute } from "./route.ts";

const MOST = 65_536;

export class Interned {
  private readonly texts = new Map<string, string>();
  private readonly lists = new Map<string, readonly (string | number)[]>();
  private readonly sets = new Map<string, HostAttributes>();
  /** Sets by their copies: one copy serves all of a message. */
  private readonly ofCopy = new WeakMap<HostAttributes, HostAttributes>();

  /** `route` with what is common in one copy. */
  route(route: EvpnRoute): EvpnRoute {
    if (route instanceof HostRoute) return new HostRoute(this.known(route.attributes), route.mac, route.host);
    if (route.type === 2 && !route.isOrphan) return new HostRoute(this.attributes(route), route.mac, ipOf(route));
    const { rd, nextHop, targets } = route;
    return { ...route, rd: this.text(rd), nextHop: this.text(nextHop), targets: this.list(targets) };
  }

  text(text: string): string {
    return this.one(this.texts, text, () => text);
  }

  private known(copy: HostAttributes): HostAttributes {
    let known = this.ofCopy.get(copy);
    if (known === undefined) {
      known = this.attributes(copy);
      this.ofCopy.set(copy, known);
    }
    return known;
  }

  private attributes(of: HostAttributes | MacRoute): HostAttributes {
    const { rd, nextHop, targets, labels, tag, encap, segment, sequence, isSticky, isGateway, routerMac, preference } =
      of;
    const texts = `${rd} ${nextHop} ${targets.join(",")} ${labels.join(",")}`;
    const name = `${texts} ${tag} ${encap} ${segment} ${sequence} ${isSticky} ${isGateway} ${routerMac} ${preference}`;
    return this.one(this.sets, name, () => ({
      ...{ rd: this.text(rd), nextHop: this.text(nextHop), targets: this.list(targets), labels: this.list(labels) },
      ...{ tag, encap, segment, sequence, isSticky, isGateway, routerMac },
      ...(preference === undefined ? {} : { preference }),
    }));
  }

  private list<T extends string | number>(list: readonly T[]): readonly T[] {
    const kind = `${typeof list[0] === "number" ? "#" : ""}${list.join(" ")}`;
    return this.one(this.lists as Map<string, readonly T[]>, kind, () => [...list]);
  }

  private one<T>(all: Map<string, T>, name: string, make: () => T): T {
    const known = all.get(name);
    if (known !== undefined) return known;
    if (all.size >= MOST) all.clear();
    const made = make();
    all.set(name, made);
    return made;
  }
}
