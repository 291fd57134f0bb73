/** The files of the lab's gateways, in each family: valid, and no more of a family than was asked for. */
import { describe, expect, it } from "vitest";
import { formatErrors } from "../../src/config/error.ts";
import { parseConfig } from "../../src/config/load.ts";
import { configFile } from "../../src/lab/config-file.ts";
import { FAMILIES, VTEPS } from "../../src/lab/topology.ts";

describe.each(Object.entries(FAMILIES))("--family %s", (_, families) => {
  const places = { namespace: (node: string) => node, socket: (node: string) => `/run/${node}.sock`, families };

  it.each(VTEPS.flatMap(({ name }) => [[name, "distributed"] as const, [name, "centralized"] as const]))(
    "%s, %s",
    (node, mode) => {
      const text = configFile(node, mode, places);
      const parsed = parseConfig(text, node);
      if ("errors" in parsed) throw new Error(formatErrors(parsed.errors));
      for (const { addresses } of parsed.config.interfaces)
        expect(addresses.map(({ ip }) => (typeof ip === "bigint" ? 6 : 4))).toEqual(families);
      expect(parsed.config.routes.length % families.length).toBe(0);
    },
  );
});
