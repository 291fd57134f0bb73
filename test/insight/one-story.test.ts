/** `trace` and `why` about the same packet: a policy is told by both or by neither, and a host's route is the same to both. */
import { expect, it } from "vitest";
import { Why } from "../../src/api/schema-why.ts";
import { Shown } from "../../src/api/shown.ts";
import { Tracer } from "../../src/insight/trace.ts";
import { WhyAnswers } from "../../src/insight/why.ts";
import { UNWATCHED } from "../api/fake-source.ts";
import { article } from "../gateway/article.ts";

const REQUEST = { ttl: 64, dscp: 0, size: 84, df: false, sourcePort: 1, destinationPort: 2, inject: false } as const;

it.each(["static", "policy"] as const)("the outside by %s: trace and why tell one story", (outside) => {
  const world = article({ outside });
  for (const ip of ["20.1.1.12", "50.1.1.1", "10.1.1.12"]) world.get("vm1").ping(ip);
  world.settle();
  const { control } = world.gateways.get("gw1")!;
  const answers = new WhyAnswers(control.shown, new Shown(control.shown, { view: () => UNWATCHED }));
  const tracer = new Tracer(control.shown, control.injector);
  const told = (destination: string) => {
    const request = { ...REQUEST, protocol: "icmp", ac: "vm1", source: "10.1.1.11", destination } as const;
    const trace = tracer.trace(request, () => undefined);
    if ("message" in trace) throw new Error(trace.message);
    const question = { ip: destination, mac: null, interface: null, vsi: null, vrf: null };
    const why = Why.parse(answers.why(question)).sentences.join(" ");
    const policies = trace.steps.filter(({ stage }) => stage === "policy").length;
    return { policies, fib: trace.steps.find(({ stage }) => stage === "fib")!.text, why };
  };
  for (const ip of ["20.1.1.12", "10.1.1.12"]) {
    const { policies, fib, why } = told(ip);
    expect([policies, /Policy/.test(why)], ip).toEqual([0, false]);
    const on = `vsi-interface${ip.slice(0, 2)}`;
    expect(fib).toBe(`${ip}/32 host on ${on}`);
    expect(why).toContain(`${ip}/32 as its longest match: the host itself, resolved on ${on}.`);
  }
  const unknown = told("20.1.1.77");
  expect(unknown.fib).toBe("20.1.1.0/24 connected vsi-interface20");
  expect(unknown.why).toContain("20.1.1.0/24 as its longest match: connected to vsi-interface20");
  expect([unknown.policies, /Policy/.test(unknown.why)]).toEqual([0, false]);
  const far = told("50.1.1.1");
  const byPolicy = outside === "policy";
  expect([far.policies, /Policy out10 .*defaultNextHop 10\.1\.1\.2/.test(far.why)]).toEqual([
    byPolicy ? 1 : 0,
    byPolicy,
  ]);
  expect(far.fib).toContain("next hop 10.1.1.2 on vsi-interface10");
});
