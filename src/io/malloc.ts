/**
 * What the C library keeps of memory that was freed, in all threads of the process.
 *
 * V8 takes memory of malloc while it parses, compiles or clears up, and frees all of it at once: at the end of an arena, one for each
 * thread. glibc gives it back from a threshold on, which is 128 KB until a larger block is freed, and then twice that block, up to
 * 64 MB; so a start leaves 7 MB. A threshold that is set stays. (`malloc_trim` is no help: it leaves the end of each arena but the first.)
 */
import { addon, IoError } from "./addon.ts";

/** As glibc begins. What is shorter is not worth a call and the page faults behind it. */
const TRIM_FROM_BYTES = 128 << 10;

/** From now on what is freed goes back to the kernel. Without the addon nothing happens: the start, which needs it, says so. */
export function giveBackFreed(): void {
  try {
    addon().trimFrom(TRIM_FROM_BYTES);
  } catch (error) {
    if (!(error instanceof IoError)) throw error;
  }
}
