/**
 * How long a packet may be, for each port and each VSI-interface.
 *
 * A VTEP never fragments (RFC 7348 §4.3), so everything follows from the underlay: a tunnel takes what the underlay
 * MTU leaves after outer IP, UDP, VXLAN and inner Ethernet headers. "auto" means that number wherever frames can reach a
 * tunnel, and 1500 where they cannot (a VSI without VNI: an uplink). One TAP may carry several ACs (VLANs); the device
 * gets the largest MTU among them, each AC keeps its own.
 */
import type { AcConfig, Config, InterfaceConfig, VsiConfig } from "../plan.ts";

const LOCAL_MTU = 1500;

export class Mtus {
  /** The underlay's IP MTU, bytes. */
  readonly underlay: number;
  /** What encapsulation leaves of it. */
  readonly overlay: number;
  private readonly vsis: ReadonlyMap<string, VsiConfig>;
  private readonly interfaces: ReadonlyMap<string, InterfaceConfig>;

  /** @param measured the egress device's MTU, for "auto". */
  constructor(config: Config, measured: number) {
    this.underlay = config.underlay.mtu === "auto" ? measured : config.underlay.mtu;
    this.overlay = this.underlay - config.underlay.overhead;
    this.vsis = new Map(config.vsis.map((vsi) => [vsi.name, vsi]));
    this.interfaces = new Map(config.interfaces.map((each) => [each.name, each]));
  }

  ofInterface(iface: InterfaceConfig): number {
    if (iface.mtu !== "auto") return iface.mtu;
    return this.firstVni(iface) === null ? LOCAL_MTU : this.overlay;
  }

  /** VNI of the first VSI of `iface` that has one, or null: all of them are local. */
  firstVni(iface: InterfaceConfig): number | null {
    for (const name of iface.vsis) {
      const { vni } = this.vsis.get(name)!;
      if (vni !== null) return vni;
    }
    return null;
  }

  ofVsi(vsi: VsiConfig): number {
    if (vsi.interface !== null) return this.ofInterface(this.interfaces.get(vsi.interface)!);
    return vsi.vni !== null ? this.overlay : LOCAL_MTU;
  }

  ofAc(ac: AcConfig): number {
    if (ac.tap !== null && ac.tap.mtu !== "auto") return ac.tap.mtu;
    return this.ofVsi(this.vsis.get(ac.vsi)!);
  }

  /** The MTU of the device behind all of `acs`. */
  ofTap(acs: readonly AcConfig[]): number {
    return Math.max(...acs.map((ac) => this.ofAc(ac)));
  }
}
