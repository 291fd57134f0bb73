/** The parts of a snapshot, in the order in which they are told. Without zod, so that vtepctl can have them at no cost. */
export const PARTS = [
  "status",
  "vsis",
  "acs",
  "tunnels",
  "interfaces",
  "policies",
  "drops",
  "events",
  "macs",
  "neighbors",
  "routes",
] as const;
export type Part = (typeof PARTS)[number];
