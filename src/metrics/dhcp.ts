/** Metrics of the DHCP relay; none of them has values while no VSI-interface relays. */
import type { DhcpServer } from "../api/dhcp.ts";
import type { Row } from "../api/feature.ts";
import type { DhcpResult } from "../control/dhcp/relay.ts";

type Counts = ReadonlyMap<string, Readonly<Record<DhcpResult, number>>>;

function* cellsOf(counts: Counts) {
  for (const [name, cells] of counts)
    for (const [result, count] of Object.entries(cells)) yield [{ interface: name, result }, count] as const;
}

export function dhcpRows(
  counts: () => Counts,
  counts6: () => Counts,
  servers: () => readonly DhcpServer[],
): readonly Row[] {
  const byServer = (value: (server: DhcpServer) => number) => () =>
    servers().map((server) => [{ interface: server.interface, server: server.server }, value(server)] as const);
  return [
    {
      kind: "counter",
      name: "vtep_dhcp_total",
      help: "DHCP of clients, relayed, or by a tunnel and left to the gateway of its site",
      labels: ["interface", "result"],
      values: () => cellsOf(counts()),
    },
    {
      kind: "counter",
      name: "vtep_dhcp6_total",
      help: "DHCPv6 of clients, relayed, or by a tunnel and left to the gateway of its site",
      labels: ["interface", "result"],
      values: () => cellsOf(counts6()),
    },
    {
      kind: "counter",
      name: "vtep_dhcp_server_requests_total",
      help: "Requests sent to a DHCP or DHCPv6 server",
      labels: ["interface", "server"],
      values: byServer(({ requests }) => requests),
    },
    {
      kind: "counter",
      name: "vtep_dhcp_server_replies_total",
      help: "Replies of a DHCP or DHCPv6 server",
      labels: ["interface", "server"],
      values: byServer(({ replies }) => replies),
    },
    {
      kind: "gauge",
      name: "vtep_dhcp_server_silent_seconds",
      help: "Since the first request that a DHCP server has not answered; 0: it owes no answer",
      labels: ["interface", "server"],
      values: byServer(({ silentSeconds }) => silentSeconds ?? 0),
    },
  ];
}
