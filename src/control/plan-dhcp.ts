/** The plan of the DHCP relay; plan.ts has the rest. */

interface Server<A> {
  readonly text: string;
  readonly ip: A;
}

/** Where clients' DHCP goes (control/dhcp/relay.ts). */
export interface DhcpRelayConfig {
  /** At least one. */
  readonly servers: readonly Server<number>[];
  /** Tell them by option 82 where the client is. */
  readonly option82: boolean;
}

/** Where clients' DHCPv6 goes (control/dhcp/relay6.ts). */
export interface DhcpRelay6Config {
  /** At least one. */
  readonly servers: readonly Server<bigint>[];
}
