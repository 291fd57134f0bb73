/** What became of the messages of one speaker, by VSI: ARP's are the cells behind `vtep_arp_total`. */
export const RESOLUTION_RESULTS = [
  "gateway_reply",
  "proxy_reply",
  "suppress_reply",
  "relayed_request",
  "relayed_reply",
  "learned",
  "ignored",
] as const;
export type ResolutionResult = (typeof RESOLUTION_RESULTS)[number];

export class ResolutionCounts {
  /** By VSI name. */
  readonly byVsi = new Map<string, Record<ResolutionResult, number>>();

  count(vsi: string, result: ResolutionResult): void {
    let cells = this.byVsi.get(vsi);
    if (cells === undefined) {
      cells = Object.fromEntries(RESOLUTION_RESULTS.map((each) => [each, 0])) as Record<ResolutionResult, number>;
      this.byVsi.set(vsi, cells);
    }
    cells[result]++;
  }
}
