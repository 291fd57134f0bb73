/**
 * Hand-over without containers: two gateways that open no TAP, and VMs (namespaces) that hand theirs over with
 * `vtepctl attach`. What a gateway's restart, its sudden death, and a VM's costs; and who is turned away.
 */
import type { ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { Ac, MacEntry, Neighbor } from "../../src/api/schema.ts";
import { until, within } from "../../src/lab/deadline.ts";
import { type Gateway, type Gateways, openGateways, whyNoGateways } from "./gateways.ts";
import { openStream, ping, transfer } from "./traffic.ts";

const missing = whyNoGateways("python3");
const VTEPCTL = fileURLToPath(new URL("../../dist/ctl/main.js", import.meta.url));
const HOSTILE_VM = fileURLToPath(new URL("hostile-vm.py", import.meta.url));
if (missing) console.log(`handover.test.ts skipped: ${missing}`);

const PING_MS = 100;

interface Attachment {
  readonly child: ChildProcess;
  readonly words: () => string;
  readonly code: Promise<number | null>;
}

const MACHINES = {
  vm1: { on: "gw1", address: "10.1.1.11", gateway: "10.1.1.1", mac: "02:00:00:00:01:11" },
  vm4: { on: "gw2", address: "10.1.1.12", gateway: "10.1.1.1", mac: "02:00:00:00:01:24" },
  vm5: { on: "gw2", address: "20.1.1.12", gateway: "20.1.1.1", mac: "02:00:00:00:01:25" },
} as const;
type Name = keyof typeof MACHINES;

describe.skipIf(missing !== undefined)("TAP hand-over", () => {
  let gateways: Gateways;
  const daemons = new Map<string, Gateway>();
  const attached = new Map<string, Attachment>();
  const attachSocket = (node: string) => join(gateways.bed.folder, `${node}.attach.sock`);

  async function startGateway(node: string, number: number): Promise<void> {
    const acs = Object.entries(MACHINES)
      .filter(([, { on }]) => on === node)
      .map(([name, { address }]) => ({ name, vsi: `vsi${address.split(".")[0]}`, handover: true }));
    const gateway = await gateways.start(node, {
      underlay: { address: `192.0.2.${number}` },
      tunnels: [{ name: "peer", remote: `192.0.2.${3 - number}` }],
      vsis: [10, 20].map((vni) => ({ name: `vsi${vni}`, vni })),
      interfaces: [10, 20].map((vni) => ({ name: `i${vni}`, vsi: `vsi${vni}`, address: `${vni}.1.1.1/24` })),
      acs,
      attach: { socket: attachSocket(node) },
    });
    daemons.set(node, gateway);
  }

  function attach(namespace: string, node: string, ...args: readonly string[]): Attachment {
    return vtepctlAttach(namespace, "--socket", attachSocket(node), ...args);
  }

  function vtepctlAttach(namespace: string, ...args: readonly string[]): Attachment {
    const child = gateways.bed.follow(namespace, process.execPath, [VTEPCTL, "attach", ...args]);
    let words = "";
    for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (chunk: Buffer) => (words += chunk));
    const code = new Promise<number | null>((resolve) => child.on("close", resolve));
    return { child, words: () => words, code };
  }

  async function attachVm(name: Name): Promise<void> {
    const { on, address, gateway, mac } = MACHINES[name];
    const one = attach(name, on, "--ac", name, "--mac", mac, "--address", `${address}/24`, "--gateway", gateway);
    attached.set(name, one);
    await until(`${name} to be attached`, 10_000, () => {
      if (one.child.exitCode !== null) throw new Error(one.words());
      return one.words().includes(`eth0 is AC ${name} of ${on}`);
    });
  }

  const ended = (one: Attachment) => within("the end of vtepctl attach", 10_000, one.code);
  const acOf = async (node: string, name: string) =>
    (await daemons.get(node)!.show<Ac>("ac")).find((ac) => ac.name === name)!;

  beforeAll(async () => {
    gateways = await openGateways("handover");
    const { bed } = gateways;
    for (const name of ["gw1", "gw2", "other", ...Object.keys(MACHINES)]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "gw2", "ul0");
    for (const number of [1, 2]) {
      await bed.ip(`gw${number}`, `addr add 192.0.2.${number}/24 dev ul0`);
      await startGateway(`gw${number}`, number);
    }
    await Promise.all((Object.keys(MACHINES) as Name[]).map(attachVm));
  });
  afterAll(() => gateways?.remove());
  afterEach(({ task }) => {
    if (task.result?.state !== "fail") return;
    for (const [name, { words }] of attached) console.log(`--- ${name}\n${words()}`);
  });

  test("a VM gets its network from the gateway: MTU, carrier, and the way to everybody", async () => {
    const { bed } = gateways;
    expect(await bed.must("vm1", "cat", ["/sys/class/net/eth0/mtu"])).toBe("1450\n");
    expect(await bed.must("vm1", "cat", ["/sys/class/net/eth0/carrier"])).toBe("1\n");
    expect((await ping(bed, "vm1", "10.1.1.12")).ttls).toEqual([62, 62, 62]);
    expect((await ping(bed, "vm1", "20.1.1.12")).ttls).toEqual([62, 62, 62]);
    expect((await ping(bed, "vm5", "10.1.1.11")).ttls).toEqual([62, 62, 62]);
    // Nothing was lost on the way there, not even the gateway's first words to a new AC.
    expect(await daemons.get("gw1")!.drops()).toEqual({});
  });

  test("every offload works on a handed-over file", async () => {
    const { bed } = gateways;
    const startedMs = performance.now();
    const { sent, got } = await transfer(bed, "vm1", "vm5", "20.1.1.12", 200 << 20);
    console.log(`vm1 to vm5: ${(sent.bytes / 125_000 / (performance.now() - startedMs)).toFixed(1)} Gbit/s, hashed`);
    expect(got).toEqual(sent);
    // Super-frames: far fewer frames crossed the TAP than the 150,000 packets that went over the underlay.
    const text = await bed.must("vm1", "cat", ["/sys/class/net/eth0/statistics/tx_packets"]);
    expect(Number(text)).toBeLessThan(30_000);
  });

  test.each([
    ["stopped and started again", "SIGTERM"],
    ["killed and started again", "SIGKILL"],
  ] as const)(
    "a gateway that is %s is found again: less than a second is lost, a TCP stream goes on",
    async (_, signal) => {
      const { bed } = gateways;
      const stream = await openStream(bed, "vm1", "vm5", "20.1.1.12", "paced");
      try {
        const pinging = ping(bed, "vm1", "10.1.1.12", { count: 50, intervalSeconds: PING_MS / 1000, waitSeconds: 3 });
        await until(
          "the stream and the pings to flow",
          2000,
          async () => (await acOf("gw1", "vm1")).receive.packets > 20,
        );
        const before = daemons.get("gw1")!;
        const stoppedMs = performance.now();
        await before.stop(signal);
        daemons.set("gw1", await before.restart());
        const awayMs = performance.now() - stoppedMs;
        const { sent, ttls, rttsMs } = await pinging;
        const lost = sent - ttls.length;
        console.log(`${lost} of ${sent} pings lost while gw1 was away for ${awayMs.toFixed(0)} ms by ${signal}`);
        // What the VM sent waited in its TAP; some of it had the gateway's absence as its round-trip time. The new
        // gateway knows no neighbour and keeps 16 packets for each neighbour that it looks for. What had piled up beyond that
        // is lost; a busy machine starts a daemon slowly, and that is not the hand-over's loss.
        expect(sent).toBe(50);
        expect(Math.max(...rttsMs)).toBeGreaterThan(awayMs / 2);
        expect(lost * PING_MS).toBeLessThanOrEqual(1000 + Math.max(0, awayMs - 16 * PING_MS));
      } finally {
        stream.finish();
      }
      const { sent: given, got } = await within("the TCP stream", 20_000, stream.result);
      expect(got).toEqual(given);
      expect(attached.get("vm1")!.child.exitCode).toBeNull();
    },
  );

  test("a VM that dies takes its AC down and is forgotten; when it is back, it is like new", async () => {
    const { bed } = gateways;
    await ping(bed, "vm1", "20.1.1.12");
    expect((await acOf("gw2", "vm5")).up).toBe(true);
    attached.get("vm5")!.child.kill("SIGKILL");
    await until("AC vm5 to go down", 3000, async () => (await acOf("gw2", "vm5")).up === false);
    const gw2 = daemons.get("gw2")!;
    const isVm5 = (entry: { via: { kind: string; name: string } | null }) => entry.via?.name === "vm5";
    expect((await gw2.show<MacEntry>("mac")).filter(isVm5)).toEqual([]);
    expect((await gw2.show<Neighbor>("arp")).filter(isVm5)).toEqual([]);
    expect((await gw2.status()).ready).toBe(true);
    await attachVm("vm5");
    expect((await ping(bed, "vm1", "20.1.1.12")).ttls).toEqual([62, 62, 62]);
  });

  test("a second claim on an AC is refused, and the VM in place notices nothing", async () => {
    const { bed } = gateways;
    const pinging = ping(bed, "vm4", "10.1.1.11", { count: 20, intervalSeconds: 0.05 });
    const thief = attach("other", "gw1", "--ac", "vm1");
    expect(await ended(thief)).toBe(1);
    expect(thief.words()).toMatch(/error: AC vm1 is held by another VM\n {2}fix: stop that one first/);
    expect((await pinging).ttls).toHaveLength(20);
    // Its device went with it.
    expect((await bed.run("other", "ip", ["link", "show", "dev", "eth0"])).status).not.toBe(0);
  });

  test.each(["block", "narrow", "shift", "no-offload"])(
    "a VM that plays with the shared file (%s) harms itself alone",
    async (trick) => {
      const { bed } = gateways;
      attached.get("vm5")!.child.kill("SIGTERM");
      expect(await ended(attached.get("vm5")!)).toBe(0);
      const args = [HOSTILE_VM, attachSocket("gw2"), "vm5", `${MACHINES.vm5.address}/24`];
      const vm = bed.follow("vm5", "python3", args);
      let said = "";
      vm.stdout!.on("data", (chunk: Buffer) => (said += chunk));
      vm.stderr!.on("data", (chunk: Buffer) => (said += chunk));
      try {
        await until("the hostile VM to be attached", 5000, () => said.includes("attached"));
        await ping(bed, "vm5", "20.1.1.1", { count: 1 });
        vm.stdin!.write(`${trick}\n`);
        await until("the trick", 2000, () => said.includes("done"));
        // It says something, and is spoken to: whatever the gateway does with its file has been done.
        await ping(bed, "vm5", "20.1.1.1", { count: 2, waitSeconds: 1 });
        await ping(bed, "vm4", "20.1.1.12", { count: 3, waitSeconds: 1 });
        expect((await ping(bed, "vm4", "10.1.1.11", { count: 20, intervalSeconds: 0.02 })).ttls).toHaveLength(20);
        expect((await daemons.get("gw2")!.status()).ready).toBe(true);
      } finally {
        vm.kill("SIGKILL");
      }
      await until("AC vm5 to go down", 3000, async () => (await acOf("gw2", "vm5")).up === false);
      await attachVm("vm5");
      expect((await ping(bed, "vm1", "20.1.1.12")).ttls).toEqual([62, 62, 62]);
    },
  );

  test.each([
    ["an AC that is not there", ["--ac", "vm9"], 1, "there is no AC vm9"],
    ["two gateways", ["--ac", "vm1", "-s", "/nowhere/at.all"], 2, "attach asks one gateway, and several are named"],
    ["no address for the gateway", ["--ac", "vm1", "--gateway", "10.1.1.1"], 2, "--gateway needs --address"],
    ["a bad address", ["--ac", "vm1", "--address", "10.1.1.300/24"], 2, "10.1.1.300/24"],
    ["a stray word", ["--ac", "vm1", "hello"], 2, "what is hello?"],
    ["no command", ["--ac", "vm1", "--exec"], 2, "--exec names no command"],
  ])("attach refuses %s", async (_, args, code, says) => {
    const one = attach("other", "gw1", ...args);
    expect(await ended(one)).toBe(code);
    expect(one.words()).toContain(says);
  });

  test("attach ends with 3 where no gateway is", async () => {
    const one = vtepctlAttach("other", "--ac", "vm1", "--wait", "1", "-s", "/nowhere/at.all");
    expect(await ended(one)).toBe(3);
    expect(one.words()).toContain("no gateway at /nowhere/at.all yet: connect ENOENT");
    expect(one.words()).toContain("no gateway took eth0");
  });

  test("attach says at once that it speaks to another socket of the gateway", async () => {
    const one = vtepctlAttach("other", "--ac", "vm1", "--wait", "1", "-s", daemons.get("gw1")!.socket);
    expect(await ended(one)).toBe(3);
    expect(one.words()).toContain("yet: what answers there is no attach socket");
  });

  test("a workload runs once the network is there, and its end is the VM's", async () => {
    attached.get("vm5")!.child.kill("SIGTERM");
    expect(await ended(attached.get("vm5")!)).toBe(0);
    await until("AC vm5 to go down", 3000, async () => (await acOf("gw2", "vm5")).up === false);
    const { address, gateway } = MACHINES.vm5;
    const script = "ip -4 -o addr show dev eth0; ping -c 2 -i 0.1 10.1.1.11 && exit 7";
    const args = ["--ac", "vm5", "--address", `${address}/24`, "--gateway", gateway, "--exec", "sh", "-c", script];
    const one = attach("vm5", "gw2", ...args);
    expect(await ended(one)).toBe(7);
    expect(one.words()).toContain("inet 20.1.1.12/24");
    expect(one.words()).toContain("2 received");
    await attachVm("vm5");
  });

  test("a reload changes a VM's MTU, and takes an AC away", async () => {
    const { bed } = gateways;
    const gw2 = daemons.get("gw2")!;
    const config = parse(readFileSync(gw2.file, "utf8")) as { interfaces: object[]; acs: { name: string }[] };
    const reload = (changed: object) => {
      writeFileSync(gw2.file, stringify({ ...config, ...changed }));
      process.kill(gw2.pid, "SIGHUP");
    };
    reload({ interfaces: [config.interfaces[0], { ...config.interfaces[1], mtu: 1400 }] });
    await until("MTU 1400 in vm5", 5000, async () =>
      (await bed.must("vm5", "cat", ["/sys/class/net/eth0/mtu"])).startsWith("1400"),
    );
    reload({ acs: config.acs.filter(({ name }) => name !== "vm5") });
    expect(await ended(attached.get("vm5")!)).toBe(1);
    expect(attached.get("vm5")!.words()).toContain("AC vm5 was removed from the configuration");
    expect((await ping(bed, "vm1", "10.1.1.12")).ttls).toEqual([62, 62, 62]);
    reload({});
    await until("AC vm5 to be there", 5000, async () => (await acOf("gw2", "vm5")) !== undefined);
    await attachVm("vm5");
    expect((await ping(bed, "vm1", "20.1.1.12")).ttls).toEqual([62, 62, 62]);
  });
});
