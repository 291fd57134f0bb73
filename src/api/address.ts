/** An address in a question, of either family. */
import { z } from "@hono/zod-openapi";

export const address = z.union([z.ipv4(), z.ipv6()]);
