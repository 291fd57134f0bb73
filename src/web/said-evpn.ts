/** EVPN as the page is told it: how each gateway stands in its fabric, and its routes with the entries they made. Rules as in said.ts. */
import type { Evpn, EvpnDuplicate, EvpnRefused, EvpnRoute, EvpnVtep } from "../api/schema-evpn.ts";

export interface EvpnGateway {
  readonly node: string;
  /** Why there is no answer. */
  readonly error: string | null;
  /** Null: it takes no part. `stateText` is what `vtepctl show evpn` says of the engine. */
  readonly evpn: (Evpn & { readonly stateText: string }) | null;
  readonly vteps: readonly EvpnVtep[];
  readonly duplicates: readonly EvpnDuplicate[];
  readonly refused: readonly EvpnRefused[];
}

export interface EvpnSaid {
  readonly gateways: readonly EvpnGateway[];
}

export interface RouteSaid {
  readonly route: string;
  readonly rd: string;
  readonly direction: "in" | "out";
  readonly nextHop: string;
  readonly vsi: string | null;
  readonly vni: number | null;
  readonly state: EvpnRoute["state"];
  readonly sequence: number | null;
  readonly sticky: boolean;
  /** What stands in the gateway's tables because of it; of one of ours, where its host is. */
  readonly entries: readonly string[];
}

export interface EvpnRoutesSaid {
  readonly gateways: readonly {
    readonly node: string;
    readonly error: string | null;
    readonly routes: readonly RouteSaid[];
    /** Routes that were left out. */
    readonly left: number;
  }[];
}
