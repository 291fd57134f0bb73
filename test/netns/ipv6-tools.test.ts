/** vtepctl about IPv6 of Linux hosts behind real gateways: what why, trace, ping, capture and show tell is what the hosts see. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Trace } from "../../src/api/schema-trace.ts";
import type { CaptureLine } from "../../src/api/schema-watch.ts";
import type { Why } from "../../src/api/schema-why.ts";
import { until } from "../../src/lab/deadline.ts";
import type { Article } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { hostOf, openIpv6 } from "./ipv6-bed.ts";

const DEADLINE_MS = 20_000;

describeReal(whyNoGateways(), "the tools about IPv6", () => {
  let article: Article;
  const json = async <T>(...words: readonly string[]): Promise<T> => {
    const { stdout, stderr } = await article.gw1.ctl(...words, "-o", "json");
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout) as T;
  };
  const ping = async (from: string, to: string) =>
    (await article.bed.run(from, "ping", ["-6", "-n", "-c1", "-W2", to])).stdout;
  const answers = (from: string, to: string) =>
    until(`${to} at ${from}`, DEADLINE_MS, async () => (await ping(from, to)).includes("ttl="));

  beforeAll(async () => {
    article = await openIpv6("tools6");
  });
  afterAll(() => article?.gateways.remove());

  test("why tells where hosts are, and of one that is nowhere", async () => {
    await answers("vm1", hostOf("vm5"));
    const here = await json<Why>("why", hostOf("vm1"));
    expect(here.sentences.join("\n")).toMatch(
      / at AC vm1, in VSI vsi10: learned .* from a neighbour (solicitation|advertisement)/,
    );
    const there = await json<Why>("why", hostOf("vm5"));
    expect(there.sentences.join("\n")).toContain(" at tunnel gw2, in VSI vsi20");
    expect(there.routes.map(({ prefix }) => prefix)).toEqual([`${hostOf("vm5")}/128`]);
    const nowhere = await json<Why>("why", "2001:db8:99::1");
    expect(nowhere.sentences.join("\n")).toContain("VRF main has no route to it");
    const link = await json<Why>("why", "fe80::1%vsi-interface10");
    expect(link.sentences[0]).toMatch(/^fe80::1 is our own: /);
  });

  test("what trace foretells is what happens: --inject makes vm5 answer", async () => {
    await answers("vm1", hostOf("vm5"));
    const words = ["trace", "--ac", "vm1", "icmp", hostOf("vm1"), ">", hostOf("vm5")];
    const whatIf = await json<Trace>(...words);
    expect(whatIf.fate).toMatchObject({ kind: "sent", text: "sent to tunnel gw2" });
    const asked = async () =>
      Number(/^Icmp6InEchos\s+(\d+)/m.exec(await article.bed.must("vm5", "cat", ["/proc/net/snmp6"]))![1]);
    const before = await asked();
    expect((await json<Trace>(...words, "--inject")).sends).toEqual(whatIf.sends);
    await until("vm5 to be asked", DEADLINE_MS, async () => (await asked()) > before);
  });

  test("the gateway pings a host, and a capture shows it with the host's neighbour discovery", async () => {
    const { bed, gw1 } = article;
    await answers("vm1", hostOf("vm4"));
    let isRunning = true;
    const capturing = gw1.ctl("capture", "vm1", "--host", hostOf("vm1"), "--seconds", "10", "-o", "json");
    void capturing.then(() => (isRunning = false));
    const heard: string[] = [];
    // Again and again: nothing says when the capture has begun.
    while (isRunning) {
      await bed.must("vm1", "ip", ["-6", "neigh", "flush", "dev", "eth0"]);
      await ping("vm1", hostOf("vm4"));
      heard.push((await gw1.ctl("ping", hostOf("vm1"), "--interface", "vsi-interface10", "-c", "1")).stdout);
    }
    expect(heard.join("")).toMatch(/^84 bytes from 2001:db8:10::1 to 2001:db8:10::11 .* ms, hop limit 64$/m);
    const { stdout, stderr } = await capturing;
    const frames = stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Extract<CaptureLine, { kind: "frame" }>);
    const told = frames.map(({ step, summary }) => `${step} ${summary}`).join("\n");
    expect(told, stderr).toMatch(/^null icmp6 echo-reply 2001:db8:10::11 > 2001:db8:10::1 hops 64, 84 bytes/m);
    expect(told).toMatch(/^S1\.9 icmp6 echo-request 2001:db8:10::11 > 2001:db8:10::12 /m);
    expect(told).toMatch(/ nd who has /);
  });

  test("show route knows the family", async () => {
    await answers("vm1", hostOf("vm5"));
    const of = async (...words: string[]) =>
      (await json<{ prefix: string }[]>("show", "route", ...words)).map(({ prefix }) => prefix);
    const [four, six] = [await of("-4"), await of("-6")];
    expect(six).toContain(`${hostOf("vm5")}/128`);
    expect(six.every((prefix) => prefix.includes(":"))).toBe(true);
    expect(four.some((prefix) => prefix.includes(":"))).toBe(false);
    expect(four).toContain("10.1.1.0/24");
  });
});
