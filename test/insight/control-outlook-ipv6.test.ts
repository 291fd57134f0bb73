/**
 * The last line of a trace of IPv6, NEXT, against the control plane itself: what is foretold is then done, over random packets on warm
 * and cold tables. The twin of control-outlook.test.ts.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { TraceRequest } from "../../src/api/schema-trace.ts";
import { DROPS } from "../../src/tables/counters.ts";
import { Sites6 } from "../gateway/host6.ts";
import { type Done, injected, said } from "./foretold.ts";

const VM1 = "2001:db8:10::11";
const PLACES = [{ ac: "vm1" }, { ac: "vm1" }, { ac: "vm3" }, { tunnel: "gw2", vni: 10 }] as const;
// Some are wanted more often, so that they are asked for again while they are being looked for, or are known.
const OFTEN = ["2001:db8:10::1", VM1, "2001:db8:10::12", "2001:db8:10::88"];
const SELDOM = ["fe80::1", "fe80::11", "2001:db8:10::", "2001:db8:99::1", "::", "::1", "ff02::1"];
const address = fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...OFTEN) }, fc.constantFrom(...SELDOM));
const step = fc.record({
  place: fc.constantFrom(...PLACES),
  frame: fc.record({
    protocol: fc.constantFrom("icmp" as const, "tcp" as const, "udp" as const, "nd" as const, "nd" as const),
    source: address,
    destination: address,
    ttl: fc.constantFrom(1, 64),
    size: fc.constantFrom(84, 1500),
  }),
  pauseMs: fc.constantFrom(200, 200, 1500, 5000),
});
const DEFAULTS = { protocol: "icmp", ttl: 64, dscp: 0, size: 84, df: false, sourcePort: 40_000, destinationPort: 80 };

/** Twice each, so that what the first one begins, the second one meets. */
const of = (frame: object) => ({ place: PLACES[0], pauseMs: 200, frame: { source: VM1, ...frame } });
const asks = of({ protocol: "nd", destination: "2001:db8:10::12" });
const lost = of({ destination: "2001:db8:10::88" });
const OPENING = [
  ...[asks, asks, lost, lost],
  of({ destination: "2001:db8:99::1" }),
  of({ destination: "2001:db8:10::12", size: 1500 }),
  of({ destination: "2001:db8:10::1", protocol: "udp" }),
  of({ destination: "2001:db8:10::1", protocol: "tcp" }),
];

const ANSWERS = ["nd.gateway-reply", "nd.proxy-reply", "nd.relay-request", "nd.relay-reply", "icmp.echo"];
const ERRORS: readonly (readonly [RegExp, string])[] = [
  [/^ICMPv6 time exceeded/, "3/0"],
  [/^ICMPv6 packet too big/, "2/0"],
  [/^ICMPv6 unreachable \(no route\)/, "1/0"],
];
const quiet = (done: Done) => ANSWERS.every((name) => !said(done, name)) && !said(done, "icmp.error");

/** What each kind of sentence promises. The first that fits is the one. */
const PROMISES: readonly (readonly [RegExp, (done: Done, next: string) => boolean])[] = [
  [/^dropped in silence/, (done) => done.drops.length === 1 && quiet(done)],
  [/twice a second at most$/, (done) => done.drops.length === 0],
  [/^dropped: the gateway has no TCP/, (done) => done.drops.join() === "not_forwarded" && quiet(done)],
  [
    /^dropped: /,
    (done, next) => DROPS.some(([reason, text]) => done.drops.join() === reason && next === `dropped: ${text}`),
  ],
  [/^refused with ICMPv6/, (done) => said(done, "icmp.error 1/4") || said(done, "icmp.error 4/1")],
  [/^refused: .* defends it$/, (done) => !said(done, "nd.proxy-reply") && !said(done, "neighbor.learned")],
  [/^ICMPv6 /, (done, next) => ERRORS.some(([text, code]) => text.test(next) && said(done, `icmp.error ${code}`))],
  [/^the gateway answers the echo/, (done) => said(done, "icmp.echo")],
  [/^waits for neighbour .* being asked for$/, (done) => done.held === 1 && !said(done, "nd.solicit")],
  [/^waits for neighbour/, (done) => done.held === 1 && said(done, "nd.solicit")],
  [/answers with its gateway MAC/, (done) => said(done, "nd.gateway-reply")],
  // Unless they were asked within this second.
  [/^local proxy .* and asks all sites/, (done) => said(done, "nd.proxy-reply")],
  [/^local proxy/, (done) => said(done, "nd.proxy-reply") && !said(done, "nd.relay-request")],
  [/^answered when/, (done) => done.drops.length === 0],
  [/^silence|is noted|^ignored|^consumed/, quiet],
];

it("what trace says control would do about IPv6, control does", () => {
  const met = new Set<string>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 30 }), (steps) => {
      const sites = new Sites6();
      for (const { place, frame, pauseMs } of [...OPENING, ...steps]) {
        const outcome = injected(sites.gw1, { ...DEFAULTS, ...place, ...frame } as TraceRequest);
        sites.world.advance(pauseMs);
        const next = outcome?.trace.fate.next ?? null;
        if (outcome === null || next === null) continue;
        const promise = PROMISES.find(([text]) => text.test(next));
        expect(promise, `not known what this means: ${next}`).toBeDefined();
        met.add(String(promise![0]));
        const what = `${outcome.trace.packet}: ${next} / ${JSON.stringify(outcome.done)}`;
        expect(promise![1](outcome.done, next), what).toBe(true);
      }
    }),
    { numRuns: 25, seed: 5, endOnFailure: true },
  );
  expect(PROMISES.map(([text]) => String(text)).filter((text) => !met.has(text))).toEqual([]);
}, 120_000);
