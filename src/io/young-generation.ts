/**
 * The size of V8's young generation, in every thread of the process.
 *
 * A thread that starts leaves much behind at once. V8 takes that for its way of life and doubles the young generation, three
 * times in the main thread, and never takes it back: 5 MB that are not needed again, and 30 where the tables were filled.
 *
 * The factor by which it grows is one of the process, and V8 sets it to 2 again whenever a thread is made. So it is for the thread
 * to set it back to 1, as the first thing that it does. Threads made later, a reload's and that of EVPN, let it grow again: they
 * come with work for it.
 */
import { setFlagsFromString } from "node:v8";

export function keepYoungGenerationSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
