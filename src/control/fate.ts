/**
 * How a punted frame ends, as the handlers answer it: a drop reason (> 0), or one of these.
 *
 * The agent alone turns the answer into ledger entries, so no handler can count a frame twice or forget it. A held frame
 * is counted by the one who holds it, when it lets go.
 */
export type Fate = number;
/** It told us what it had to tell, or was answered. */
export const CONSUMED: Fate = 0;
/** It went back to the data plane. */
export const REINJECTED: Fate = -1;
/** It waits: for a neighbour, or for its other fragments. */
export const HELD: Fate = -2;
