/**
 * Who needs which tunnel, and for which VNIs: counts, and nothing that is done about them (tunnels.ts).
 *
 * Several parties may need the same VTEP: the configuration names it, a control plane of the fabric learns it from routes.
 * Each of them holds pairs of (VTEP, VNI), as often as it likes; a pair is there while one of them holds it, the tunnel
 * while one holds it or one of its pairs. So no party has to know of the others, and the last one to let go ends it.
 */

/** `config`: the configuration; it names the tunnel, and says how it is watched. */
export type TunnelOwner = "config" | "evpn";

/** The VNI of a hold on the tunnel alone: no VNI is 0. */
const TUNNEL_ALONE = 0;

export class TunnelHolds {
  /** VTEP address -> owner -> VNI -> how often. */
  private readonly ofRemote = new Map<string, Map<TunnelOwner, Map<number, number>>>();
  /** VNI -> VTEP addresses, and how many owners hold each. */
  private readonly ofVni = new Map<number, Map<string, number>>();
  private pairCount = 0;

  /** Pairs of VNI and VTEP that somebody holds. */
  get pairs(): number {
    return this.pairCount;
  }

  /** `owner` needs the tunnel to `remote` for `vnis` (none: the tunnel alone). @returns VNIs that no owner held there before. */
  hold(remote: string, vnis: readonly number[], owner: TunnelOwner): number[] {
    const owners = this.ofRemote.get(remote) ?? new Map<TunnelOwner, Map<number, number>>();
    this.ofRemote.set(remote, owners);
    const held = owners.get(owner) ?? new Map<number, number>();
    owners.set(owner, held);
    return keysOf(vnis).filter((vni) => {
      const times = held.get(vni) ?? 0;
      held.set(vni, times + 1);
      return times === 0 && vni !== TUNNEL_ALONE && this.count(vni, remote, 1) === 1;
    });
  }

  /** The reverse of one `hold`. @returns VNIs that no owner holds there any more. */
  letGo(remote: string, vnis: readonly number[], owner: TunnelOwner): number[] {
    const owners = this.ofRemote.get(remote);
    const held = owners?.get(owner);
    if (owners === undefined || held === undefined) throw new Error(`${owner} does not hold the tunnel to ${remote}`);
    const lost = keysOf(vnis).filter((vni) => {
      const times = held.get(vni);
      if (times === undefined) throw new Error(`${owner} does not hold VNI ${vni} of the tunnel to ${remote}`);
      if (times > 1) held.set(vni, times - 1);
      else held.delete(vni);
      return times === 1 && vni !== TUNNEL_ALONE && this.count(vni, remote, -1) === 0;
    });
    if (held.size === 0) owners.delete(owner);
    if (owners.size === 0) this.ofRemote.delete(remote);
    return lost;
  }

  /** What the configuration needs is `wanted` from now on: VTEP address -> VNIs. */
  replaceConfig(wanted: ReadonlyMap<string, ReadonlySet<number>>): void {
    const old = new Map(
      [...this.ofRemote].flatMap(([remote, owners]) => {
        const held = owners.get("config");
        return held === undefined ? [] : [[remote, [...held.keys()]] as const];
      }),
    );
    for (const [remote, vnis] of wanted) this.hold(remote, [TUNNEL_ALONE, ...vnis], "config");
    for (const [remote, vnis] of old) this.letGo(remote, vnis, "config");
  }

  /** Owners of the tunnel to `remote`, in the order in which they came. */
  owners(remote: string): TunnelOwner[] {
    return [...(this.ofRemote.get(remote)?.keys() ?? [])];
  }

  isHeld(remote: string): boolean {
    return this.ofRemote.has(remote);
  }

  has(remote: string, vni: number): boolean {
    return this.ofVni.get(vni)?.has(remote) ?? false;
  }

  /** VTEP addresses that are held for `vni`. */
  remotesOf(vni: number): Iterable<string> {
    return this.ofVni.get(vni)?.keys() ?? [];
  }

  /** How many tunnels others than the configuration hold for `vni`. */
  othersOf(vni: number): number {
    let count = 0;
    for (const remote of this.remotesOf(vni))
      for (const [owner, held] of this.ofRemote.get(remote)!)
        if (owner !== "config" && held.has(vni)) {
          count++;
          break;
        }
    return count;
  }

  /** Tunnels that the configuration does not name. */
  get unnamed(): number {
    let count = 0;
    for (const owners of this.ofRemote.values()) if (!owners.has("config")) count++;
    return count;
  }

  private count(vni: number, remote: string, step: 1 | -1): number {
    const remotes = this.ofVni.get(vni) ?? new Map<string, number>();
    this.ofVni.set(vni, remotes);
    const owners = (remotes.get(remote) ?? 0) + step;
    if (owners > 0) remotes.set(remote, owners);
    else remotes.delete(remote);
    if (remotes.size === 0) this.ofVni.delete(vni);
    if (owners === 0) this.pairCount--;
    else if (owners === 1 && step === 1) this.pairCount++;
    return owners;
  }
}

function keysOf(vnis: readonly number[]): number[] {
  return vnis.length === 0 ? [TUNNEL_ALONE] : [...new Set(vnis)];
}
