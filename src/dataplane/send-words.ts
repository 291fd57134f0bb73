/**
 * Words of a send record that are the data plane's own (port-io.ts: S_OWN): whose counters `settle` writes, and what is
 * told of a record to those who watch or explain.
 */
import { S_OWN } from "../io/port-io.ts";

export const OWN_PORT = S_OWN;
export const OWN_VSI = S_OWN + 1;
export const OWN_BYTES = S_OWN + 2;
