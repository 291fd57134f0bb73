/**
 * The contract with users: against the last release there are only additions to the API, the metrics, the keys of the
 * configuration and the exit codes, but for the exceptions that are stated here with their reasons.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { lost, lostKeys, lostMetrics } from "./compare.ts";
import { exitLines, keyLines, metricLines, openApi } from "./surface.ts";

const LAST = "0.1.0";
const at = (name: string) => fileURLToPath(new URL(`${LAST}/${name}`, import.meta.url));
const text = (name: string) => readFileSync(at(name), "utf8");
const lines = (name: string) => text(name).trimEnd().split("\n");

/** What is gone or changed on purpose, each with its reason; CHANGELOG.md names them too. */
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  [
    '/components/schemas/Neighbor/properties/interface/type: "string" became ["string","null"]',
    "hosts that ARP suppression answers for stand in the list too, and a VSI without VSI-interface has such hosts",
  ],
]);

const unstated = (found: readonly string[]) => found.filter((line) => !EXCEPTIONS.has(line));

describe(`since ${LAST}`, () => {
  it("the API has lost nothing and asks for nothing more", async () => {
    expect(unstated(lost(JSON.parse(text("openapi.json")), await openApi()))).toEqual([]);
  });

  it("every metric is there, of its kind and with its labels", () => {
    expect(unstated(lostMetrics(lines("metrics.txt"), metricLines()))).toEqual([]);
  });

  it("every key of the configuration is there, allows what it allowed, and no other one is required", () => {
    expect(unstated(lostKeys(lines("configuration.txt"), keyLines()))).toEqual([]);
  });

  it("every exit code means what it meant", () => {
    expect(lines("exit-codes.txt").filter((line) => !exitLines().includes(line))).toEqual([]);
  });

  it("each exception is one, and has a reason", async () => {
    const found = [
      ...lost(JSON.parse(text("openapi.json")), await openApi()),
      ...lostMetrics(lines("metrics.txt"), metricLines()),
      ...lostKeys(lines("configuration.txt"), keyLines()),
    ];
    for (const [line, reason] of EXCEPTIONS) {
      expect(found).toContain(line);
      expect(reason.length).toBeGreaterThan(20);
    }
  });
});

describe("the judge", () => {
  const api = {
    paths: {
      "/a": {
        get: {
          parameters: [{ name: "vsi", in: "query", required: false, schema: { type: "string", format: "ipv4" } }],
          responses: { 200: { schema: { properties: { n: { type: "integer" } }, required: ["n"] } } },
        },
        post: { requestBody: { schema: { properties: { m: { enum: ["x", "y"] } }, required: ["m"] } } },
      },
    },
  };
  type Api = typeof api;
  const changed = (change: (copy: Api) => void): string[] => {
    const copy = structuredClone(api);
    change(copy);
    return lost(api, copy);
  };

  it("lets additions pass", () => {
    expect(changed(() => undefined)).toEqual([]);
    expect(
      changed(({ paths }) => {
        Object.assign(paths, { "/b": {} });
        const schema = { anyOf: [paths["/a"].get.parameters[0]!.schema, { type: "string", format: "ipv6" }] };
        Object.assign(paths["/a"].get.parameters[0]!, { schema });
        paths["/a"].get.parameters.push({
          name: "ip",
          in: "query",
          required: false,
          schema: paths["/a"].get.parameters[0]!.schema,
        });
        Object.assign(paths["/a"].get.responses[200].schema.properties, { k: {} });
        paths["/a"].get.responses[200].schema.required.push("k");
        paths["/a"].post.requestBody.schema.properties.m.enum.push("z");
      }),
    ).toEqual([]);
    expect(lostMetrics(["a counter x"], ["a counter x", "b gauge -"])).toEqual([]);
    expect(lostKeys(["a: x | y"], ["a: x | y | z", "b: object", "b.c: string; required"])).toEqual([]);
  });

  it.each<[string, (copy: Api) => void]>([
    ["a path that is gone", ({ paths }) => Reflect.deleteProperty(paths, "/a")],
    ["a field that is gone", (c) => Reflect.deleteProperty(c.paths["/a"].get.responses[200].schema.properties, "n")],
    ["another type", (c) => Object.assign(c.paths["/a"].get.responses[200].schema.properties.n, { type: "string" })],
    ["a field that need not be there any more", (c) => c.paths["/a"].get.responses[200].schema.required.pop()],
    ["a parameter that is gone", (c) => c.paths["/a"].get.parameters.pop()],
    [
      "a parameter that is asked for",
      (c) => c.paths["/a"].get.parameters.push({ ...c.paths["/a"].get.parameters[0]!, name: "k", required: true }),
    ],
    [
      "a parameter that takes other things alone",
      (c) => Object.assign(c.paths["/a"].get.parameters[0]!, { schema: { anyOf: [{ type: "integer" }] } }),
    ],
    [
      "an answer that may be something else",
      (c) =>
        Object.assign(c.paths["/a"].get.responses[200].schema.properties, {
          n: { anyOf: [{ type: "integer" }, { type: "string" }] },
        }),
    ],
    ["a word that is not taken any more", (c) => c.paths["/a"].post.requestBody.schema.properties.m.enum.shift()],
    ["a field of a request that is asked for", (c) => c.paths["/a"].post.requestBody.schema.required.push("k")],
  ])("sees %s", (_, change) => {
    expect(changed(change)).not.toEqual([]);
  });

  it("sees metrics and keys that are gone or changed", () => {
    expect(lostMetrics(["a counter x"], [])).toEqual(["a: gone"]);
    expect(lostMetrics(["a counter x"], ["a gauge x"])).toEqual(["a: counter became gauge"]);
    expect(lostMetrics(["a counter x"], ["a counter x,y"])).toEqual(["a: labels x became x,y"]);
    expect(lostKeys(["a: x | y"], ["a: x"])).toEqual(["a: y is gone"]);
    expect(lostKeys(["a: x"], ["a: x; required"])).toEqual(["a: is required"]);
    expect(lostKeys(["a: x"], ["a: x", "b: y; required"])).toEqual(["b: is required"]);
    expect(lostKeys(["a: x"], ["b: x"])).toEqual(["a: gone"]);
  });
});

// VTEPD_WRITE=1 VTEPD_RELEASE=0.2.0 writes what that release has: once, when LAST becomes it.
if (process.env.VTEPD_RELEASE === LAST && process.env.VTEPD_WRITE === "1")
  it("what the release has is written down", async () => {
    writeFileSync(at("openapi.json"), `${JSON.stringify(await openApi(), null, 1)}\n`);
    for (const [name, list] of [
      ["metrics.txt", metricLines()],
      ["configuration.txt", keyLines()],
      ["exit-codes.txt", exitLines()],
    ] as const)
      writeFileSync(at(name), `${list.join("\n")}\n`);
  });
