/**
 * What of ours is announced now, of all that the configuration says: others shall come to us by it only while we lead somewhere.
 *
 * A prefix that leads on (a static route, the default route, a subnet that is this gateway's alone) is announced while its own static
 * route, where it has one, has a usable next hop: with several Borders the flows go by another one then. Draining takes all of
 * these back, and gateway addresses that are ours alone. Hosts at our ACs and subnets that we share with other gateways stay: no other
 * gateway has those hosts.
 */
import type { Beliefs } from "./beliefs.ts";
import type { EvpnSettings, OwnPrefix } from "./settings.ts";

export class Offers {
  isDraining = false;
  private readonly beliefs: Pick<Beliefs, "leads">;
  private last = "";

  constructor(beliefs: Pick<Beliefs, "leads">) {
    this.beliefs = beliefs;
  }

  /** `settings` without what is not announced now. */
  of(settings: EvpnSettings): EvpnSettings {
    const usable = this.usable(settings.prefixes);
    this.last = usable.join();
    const prefixes = settings.prefixes.filter(({ leadsOn }, n) => usable[n]! && !(leadsOn && this.isDraining));
    return {
      ...settings,
      prefixes,
      gateways: settings.gateways.filter(({ leadsOn }) => !(leadsOn && this.isDraining)),
    };
  }

  /** Is it another answer than the last one? */
  hasChanged({ prefixes }: EvpnSettings): boolean {
    return prefixes.length > 0 && this.usable(prefixes).join() !== this.last;
  }

  /** Do others come to us by what another gateway may have too? */
  attracts({ prefixes, gateways }: EvpnSettings): boolean {
    const usable = this.usable(prefixes);
    return gateways.some(({ leadsOn }) => leadsOn) || prefixes.some(({ leadsOn }, n) => leadsOn && usable[n]!);
  }

  private usable(prefixes: readonly OwnPrefix[]): boolean[] {
    return prefixes.map(({ vrf, text, leadsOn }) => !leadsOn || (this.beliefs.leads(vrf, text) ?? true));
  }
}
