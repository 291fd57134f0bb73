/** What became of ARP messages, by VSI: the cells behind `vtep_arp_total`. */
export const ARP_RESULTS = [
  "gateway_reply",
  "proxy_reply",
  "suppress_reply",
  "relayed_request",
  "relayed_reply",
  "learned",
  "ignored",
] as const;
export type ArpResult = (typeof ARP_RESULTS)[number];

export class ArpCounts {
  /** By VSI name. */
  readonly byVsi = new Map<string, Record<ArpResult, number>>();

  count(vsi: string, result: ArpResult): void {
    let cells = this.byVsi.get(vsi);
    if (cells === undefined) {
      cells = Object.fromEntries(ARP_RESULTS.map((each) => [each, 0])) as Record<ArpResult, number>;
      this.byVsi.set(vsi, cells);
    }
    cells[result]++;
  }
}
