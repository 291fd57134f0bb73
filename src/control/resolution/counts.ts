/** What became of the messages of one speaker, by VSI: ARP's are the cells behind `vtep_arp_total`. */
import type { ResultCounts } from "../result-counts.ts";

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

export type ResolutionCounts = ResultCounts<ResolutionResult>;
