/**
 * A gateway that answers nonsense is one sentence among the others: whatever stands in place of whatever, the good gateway is shown
 * as it is, and nothing is thrown that is no Refusal.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Refusal } from "../../src/ctl/client.ts";
import { Fleet } from "../../src/web/fleet.ts";
import { journeyOf } from "../../src/web/journey.ts";
import { Recorder } from "../../src/web/recording.ts";
import { answersOf, FakeGateway, leaning } from "./fake-gateway.ts";

const deep = () => {
  let value: unknown = 1;
  for (let n = 0; n < 500; n++) value = [value];
  return value;
};
const NONSENSE: readonly unknown[] = [
  null,
  [[]],
  { a: { b: 1 } },
  "a".repeat(65_536),
  1e308,
  -1,
  true,
  deep(),
  Array.from({ length: 20_000 }, () => "x"),
];

let good: FakeGateway;
let odd: FakeGateway;
let right: Record<string, unknown>;
const peers = [{ name: "gw1", remote: "192.0.2.1" }];

beforeAll(async () => {
  good = await new FakeGateway("gw1", answersOf("gw1", "192.0.2.1", [{ name: "gw2", remote: "192.0.2.2" }])).start();
  right = {
    ...answersOf("gw2", "192.0.2.2", peers, [10, 20], "vm4"),
    ...leaning("isp"),
    "/v1/neighbors": [
      {
        interface: "if10",
        vsi: "vsi10",
        ip: "10.1.1.1",
        mac: "02:00:00:00:00:01",
        state: "r",
        kind: "host",
        via: null,
      },
    ],
    "/v1/macs": [{ vsi: "vsi10", mac: "02:00:00:00:00:01", via: { kind: "ac", name: "vm4" }, origin: "learned" }],
    "/v1/routes": [
      {
        ...{ vrf: "default", prefix: "0.0.0.0/0", origin: "static", action: "forward", interface: null },
        nextHops: [{ ip: "10.1.1.1", alive: true }],
      },
    ],
    "/v1/trace": {
      ...{ packet: "a packet", steps: [{ stage: "ingress", text: "well", result: "ok" }], injected: false },
      fate: { kind: "sent", reason: null, class: null, text: "sent", next: null },
      sends: [{ via: { kind: "tunnel", name: "gw1" }, vsi: "vsi10", vni: 10, bytes: 64, frame: "00" }],
      next: [{ tunnel: "gw1", remote: "192.0.2.1", local: "192.0.2.2", vni: 10, hex: "00" }],
    },
  };
  good.answers["/v1/trace"] = { ...(right["/v1/trace"] as object), next: [] };
  odd = await new FakeGateway("gw2", { ...right }).start();
});
afterAll(() => {
  for (const each of [good, odd]) each.stop();
});

type Path = readonly (string | number)[];

/** Places in an answer: itself, and of each list the first element. */
function placesIn(value: unknown, at: Path = []): Path[] {
  const inner = Array.isArray(value)
    ? value.slice(0, 1).flatMap((each) => placesIn(each, [...at, 0]))
    : typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, each]) => placesIn(each, [...at, key]))
      : [];
  return [at, ...inner];
}

function replaced(value: unknown, [first, ...rest]: Path, by: unknown): unknown {
  if (first === undefined) return by;
  const copy = structuredClone(value) as Record<string | number, unknown>;
  copy[first] = replaced(copy[first], rest, by);
  return copy;
}

const TRACE = { gateway: "gw2", ac: "vm4", protocol: "icmp", destination: "10.1.1.1" } as const;
const sockets = () => [good.socket, odd.socket];

/** What is asked of the whole fabric, and whether the good gateway is in it as it is. */
const QUESTIONS: Readonly<Record<string, (fleet: Fleet) => Promise<void>>> = {
  "/v1/snapshot": async (fleet) => {
    const { gateways } = await fleet.fabric();
    expect(gateways[0]!.status?.counts.acs).toBe(1);
    expect(gateways[1]!.status === null).toBe(gateways[1]!.error !== null);
    const listed = await fleet.tables();
    expect([listed.gateways[0]!.error, listed.gateways.length]).toEqual([null, 2]);
    await fleet.disagreements();
  },
  "/v1/doctor": async (fleet) => {
    const { gateways } = await fleet.doctor();
    expect(gateways[0]!.checks).toEqual([{ name: "host", result: "ok", text: "well", fix: null }]);
    expect(gateways[1]!.checks.length).toBeGreaterThan(0);
  },
  "/v1/redundancy": async (fleet) => {
    const [first, second] = (await fleet.redundancy()).gateways;
    expect([first!.error, first!.tracks]).toEqual([null, []]);
    if (second!.error === null) expect(second!.sessions.length + second!.dead.length).toBeGreaterThan(0);
  },
  "/v1/trace": async () => {
    const journey = await journeyOf(sockets(), TRACE).catch((error: unknown) => error);
    if (journey instanceof Error) expect(journey).toBeInstanceOf(Refusal);
  },
};

const ASKED: readonly (readonly [path: string, by: keyof typeof QUESTIONS])[] = [
  ...["status", "vsis", "acs", "tunnels", "interfaces", "drops", "neighbors", "macs", "routes"].map(
    (part) => [`/v1/${part}`, "/v1/snapshot"] as const,
  ),
  ["/v1/snapshot", "/v1/snapshot"],
  ...["tracks", "next-hops", "bfd", "status"].map((part) => [`/v1/${part}`, "/v1/redundancy"] as const),
  ...["doctor", "status"].map((part) => [`/v1/${part}`, "/v1/doctor"] as const),
  ...["trace", "status", "acs", "tunnels"].map((part) => [`/v1/${part}`, "/v1/trace"] as const),
];

/** Two at each place, in turns: all of them at every place would say no more, and take minutes. */
const nonsenseAt = (i: number) => [NONSENSE[i % NONSENSE.length]!, NONSENSE[(i + 4) % NONSENSE.length]!];

it.each(ASKED)("anywhere in %s, asked for %s", async (path, question) => {
  let nowMs = 0;
  const fleet = new Fleet(sockets, () => (nowMs += 10_000));
  for (const [i, place] of placesIn(right[path]).entries())
    for (const by of nonsenseAt(i)) {
      // To the fake gateway a whole answer of text is a stream.
      if (place.length === 0 && typeof by === "string") continue;
      odd.answers[path] = replaced(right[path], place, by);
      await QUESTIONS[question]!(fleet);
    }
  if (right[path] === undefined) delete odd.answers[path];
  else odd.answers[path] = right[path];
  await QUESTIONS[question]!(fleet);
});

it("what was said in place of an answer is named, with where it is wrong", async () => {
  odd.answers["/v1/acs"] = [{ name: 7 }];
  const fleet = new Fleet(sockets, () => 0);
  expect((await fleet.fabric()).gateways[1]!.error!.message).toBe(
    "what it answered to GET /v1/snapshot makes no sense: acs.0.name: Invalid input: expected string, received number",
  );
  odd.answers["/v1/acs"] = right["/v1/acs"];
});

it("a capture of nonsense ends the walk with a sentence, before it begins or in its midst", async () => {
  good.answers["/v1/capture"] = '{"kind":"start"}\n';
  odd.answers["/v1/capture"] = "no JSON\n";
  await expect(Recorder.arm(sockets(), 1)).rejects.toThrow("GET /v1/capture is no JSON");
  odd.answers["/v1/capture"] = '{"kind":"start"}\n{"kind":"frame","at":"x"}\n';
  const recorder = await Recorder.arm(sockets(), 1);
  await expect(recorder.finish()).rejects.toThrow("what it answered to GET /v1/capture makes no sense");
});
