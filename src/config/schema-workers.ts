/** Keys of the forwarding threads: how many there are, and how the kernel schedules them. */
import { z } from "zod";
import { int } from "./field.ts";

const priority = z.union([
  z.enum(["auto", "normal"]),
  z.strictObject({ nice: int(-20, 19).describe("nice value; less than the present one needs CAP_SYS_NICE") }),
  z.strictObject({ fifo: int(1, 99).describe("priority under SCHED_FIFO; needs CAP_SYS_NICE") }),
]);

const detailed = z.strictObject({
  count: int(1, 16).default(1).describe("how many. Needs a restart."),
  priority: priority
    .default("auto")
    .describe("auto: nice -15 where it is granted; normal: as vtepd was started; or nice, or fifo. Needs a restart."),
  cpus: z
    .array(int(0, 1023))
    .min(1)
    .max(16)
    .optional()
    .describe("the processor of each, one for each; absent: wherever the kernel puts them. Needs a restart."),
});

export const workers = z
  .union([int(1, 16), detailed])
  .default(1)
  .describe(
    "forwarding threads, each with a queue of every TAP and its part of the rate limits: how many, or more of them. Needs a restart.",
  );

/**
 * Outer source ports where the file names no number. A batch makes one send for each of them, so few carry many small packets in
 * each; and the kernel spreads them over the receiver's workers, which wants some for each.
 */
export function sourcePortsOf(given: z.infer<typeof workers> | null): number {
  const count = typeof given === "number" ? given : (given?.count ?? 1);
  return 4 * count;
}
