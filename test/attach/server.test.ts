/**
 * The attach socket with real TAPs and a recording topology: who is let in, who is not, and what becomes of the fd.
 */
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Answer, readAnswer } from "../../src/attach/protocol.ts";
import { AttachServer } from "../../src/attach/server.ts";
import type { OpenTap } from "../../src/control/topology/taps.ts";
import { fdOf } from "../../src/io/handover.ts";
import { closeFd, sendFd } from "../../src/io/native.ts";
import { openTap, tapInfo } from "../../src/io/tap.ts";
import { until } from "../../src/lab/deadline.ts";
import { type Bed, makeBed, whyNoBed } from "../netns/bed.ts";

const built = existsSync(new URL("../../native-bindings/build/Release/vtepd.node", import.meta.url));
const whyNot = whyNoBed() ?? (built ? undefined : "the addon is not built (npm run build)");
if (whyNot !== undefined) console.log(`attach-server.test.ts skipped: ${whyNot}`);

/** What the topology was told, and the fds it was given (closed when taken back, as the real one does). */
class Recorder {
  readonly told: string[] = [];
  readonly open = new Map<string, OpenTap>();
  refusal: string | null = null;

  handOver(ac: string, tap: OpenTap): string | null {
    if (this.refusal !== null) return this.refusal;
    this.told.push(`up ${ac}`);
    this.open.set(ac, tap);
    return null;
  }

  takeBack(ac: string): void {
    this.told.push(`down ${ac}`);
    for (const fd of this.open.get(ac)!.fds) closeFd(fd);
    this.open.delete(ac);
  }
}

/** Open files of this process that are TAPs or other clones of /dev/net/tun. */
const openTuns = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === "/dev/net/tun";
    } catch {
      return false;
    }
  }).length;

class Client {
  readonly socket: Socket;
  private text = "";
  private isClosed = false;

  constructor(path: string) {
    this.socket = createConnection(path);
    this.socket.setEncoding("utf8");
    this.socket.on("data", (part) => {
      this.text += part;
    });
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => {
      this.isClosed = true;
    });
  }

  async say(text: string, fd = -1): Promise<void> {
    if (this.socket.connecting) await once(this.socket, "connect");
    expect(sendFd(fdOf(this.socket), fd, text)).toBe(0);
  }

  claim(ac: string, fd: number): Promise<void> {
    return this.say(`${JSON.stringify({ version: 1, ac, device: "eth0" })}\n`, fd);
  }

  /** The next line. */
  answer(withinMs = 4000): Promise<Answer> {
    return until("an answer", withinMs, () => {
      const end = this.text.indexOf("\n");
      if (end < 0) return undefined;
      const answer = readAnswer(this.text.slice(0, end));
      this.text = this.text.slice(end + 1);
      return answer ?? undefined;
    });
  }

  async refused(): Promise<string> {
    const answer = await this.answer();
    if (!("refused" in answer)) throw new Error(`taken: ${JSON.stringify(answer)}`);
    await this.closed();
    return `${answer.refused.code}: ${answer.refused.message}`;
  }

  closed(): Promise<true> {
    return until("the end of the connection", 4000, () => this.isClosed) as Promise<true>;
  }
}

describe.skipIf(whyNot !== undefined)("the attach socket", () => {
  let bed: Bed;
  let folder: string;
  let server: AttachServer;
  let topology: Recorder;
  let taps: number[];
  let clients: Client[];
  const lines: string[] = [];
  const points = new Map<string, { vsi: string; handover: boolean; mtu: number }>();
  const path = () => join(folder, "attach.sock");

  const client = (): Client => {
    const made = new Client(path());
    clients.push(made);
    return made;
  };
  const tap = (device = "vm0"): number => {
    const fd = openTap({ device, netns: bed.name("vm") }).fds[0]!;
    taps.push(fd);
    return fd;
  };
  const attached = async (ac = "vm1", device = "vm0"): Promise<Client> => {
    const one = client();
    await one.claim(ac, tap(device));
    expect(await one.answer()).toEqual({ attached: { gateway: "gw1", vsi: "vsi10", mtu: 1450 } });
    return one;
  };

  beforeAll(async () => {
    bed = await makeBed("attach");
    await bed.namespace("vm");
    folder = mkdtempSync(join(tmpdir(), "vtepd-attach-"));
  });
  afterAll(async () => {
    await bed?.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    topology = new Recorder();
    taps = [];
    clients = [];
    lines.length = 0;
    points.clear();
    points.set("vm1", { vsi: "vsi10", handover: true, mtu: 1450 });
    points.set("vm2", { vsi: "vsi10", handover: true, mtu: 1450 });
    points.set("own", { vsi: "vsi10", handover: false, mtu: 1450 });
    server = new AttachServer({
      gateway: "gw1",
      topology,
      log: { line: (_level, event, fields) => lines.push(`${event} ${JSON.stringify(fields)}`) },
      find: (ac) => points.get(ac),
      kick: () => undefined,
    });
    await server.listen(path());
  });
  afterEach(() => {
    server.close();
    for (const one of clients) one.socket.destroy();
    for (const fd of taps) closeFd(fd);
    for (const { fds } of topology.open.values()) for (const fd of fds) closeFd(fd);
  });

  it("takes a TAP, gives it a carrier, and lets go with the connection", async () => {
    const one = await attached();
    expect(topology.told).toEqual(["up vm1"]);
    const theirs = topology.open.get("vm1")!.fds[0]!;
    expect(taps).not.toContain(theirs);
    expect(tapInfo(theirs).device).toBe("vm0");
    await bed.ip("vm", "link set dev vm0 up");
    expect(await bed.must("vm", "cat", ["/sys/class/net/vm0/carrier"])).toBe("1\n");
    one.socket.destroy();
    await until("the AC to go down", 2000, () => topology.told.length === 2);
    expect(topology.told).toEqual(["up vm1", "down vm1"]);
    expect(await bed.must("vm", "cat", ["/sys/class/net/vm0/carrier"])).toBe("0\n");
    expect(openTuns()).toBe(1);
  });

  it("is for the daemon's user and group alone", () => {
    expect(statSync(path()).mode & 0o777).toBe(0o660);
  });

  it("refuses a second claim, and the first VM notices nothing", async () => {
    const one = await attached();
    const two = client();
    await two.claim("vm1", tap("vm1"));
    expect(await two.refused()).toBe("held: AC vm1 is held by another VM");
    expect(topology.told).toEqual(["up vm1"]);
    expect(openTuns()).toBe(3);
    one.socket.destroy();
    await until("the AC to go down", 2000, () => topology.told.length === 2);
    await attached("vm1", "vm2");
  });

  it("takes a VM that comes back before its old connection was looked at", async () => {
    const one = await attached();
    const two = client();
    await once(two.socket, "connect");
    // Both in one go: the death of the first and the claim of the second are found in the same turn.
    one.socket.destroy();
    await two.claim("vm1", tap("vm1"));
    expect(await two.answer()).toHaveProperty("attached");
    expect(topology.told).toEqual(["up vm1", "down vm1", "up vm1"]);
  });

  it("lets two VMs have their ACs side by side", async () => {
    await attached("vm1", "vm0");
    await attached("vm2", "vm1");
    expect(topology.told).toEqual(["up vm1", "up vm2"]);
  });

  it.each([
    ["an AC that is not there", "vm9", "unknown: there is no AC vm9"],
    ["an AC that makes its own TAP", "own", "unknown: AC own makes its own TAP"],
  ])("refuses %s", async (_, ac, expected) => {
    const one = client();
    await one.claim(ac, tap());
    expect(await one.refused()).toBe(expected);
    expect(topology.told).toEqual([]);
    expect(openTuns()).toBe(1);
  });

  it("refuses what is no TAP", async () => {
    const file = openSync("/dev/null", "r+");
    const bare = client();
    await bare.claim("vm1", -1);
    expect(await bare.refused()).toBe("no_tap: no file descriptor came with the claim");
    const wrong = client();
    await wrong.claim("vm1", file);
    expect(await wrong.refused()).toBe("no_tap: this file descriptor is no TAP device");
    // A clone of /dev/net/tun without a device behind it.
    const loose = openSync("/dev/net/tun", "r+");
    const unbound = client();
    await unbound.claim("vm1", loose);
    expect(await unbound.refused()).toBe("no_tap: this file descriptor is no TAP device");
    closeFd(file);
    closeFd(loose);
    expect(openTuns()).toBe(0);
  });

  it.each([
    ["no JSON", "hello\n"],
    ["another version", '{"version":2,"ac":"vm1","device":"eth0"}\n'],
    ["an unknown key", '{"version":1,"ac":"vm1","device":"eth0","also":1}\n'],
    ["a device that is no word", '{"version":1,"ac":"vm1","device":"eth\u009b2J"}\n'],
    ["an AC that is no name", '{"version":1,"ac":"vm\u202e1","device":"eth0"}\n'],
    ["a name that is too long", `{"version":1,"ac":"${"x".repeat(64)}","device":"eth0"}\n`],
    ["half a message", '{"version":1,"ac":"vm1"'],
    ["as much as fits", "[".repeat(4096)],
  ])("refuses %s and closes what came with it", async (_, text) => {
    const one = client();
    await one.say(text, tap());
    expect(await one.refused()).toBe("protocol: this is no claim");
    expect(openTuns()).toBe(1);
  });

  it("ends a connection that goes on talking, and the AC with it", async () => {
    const one = await attached();
    await one.say("and another thing", taps[0]);
    expect(await one.refused()).toBe("protocol: one connection claims one AC, once");
    expect(topology.told).toEqual(["up vm1", "down vm1"]);
    expect(openTuns()).toBe(1);
  });

  it("is not kept busy by those who claim nothing", async () => {
    const idle = Array.from({ length: 100 }, client);
    await Promise.all(idle.map((each) => each.socket.connecting && once(each.socket, "connect")));
    const fromMs = performance.now();
    await attached();
    expect(performance.now() - fromMs).toBeLessThan(500);
    // The oldest had to go.
    expect(await idle[0]!.refused()).toBe("busy: too many connections claim nothing");
    await Promise.all(idle.slice(0, 36).map((each) => each.closed()));
    expect(await idle[99]!.refused()).toBe("protocol: no claim came in 1 s");
    await Promise.all(idle.map((each) => each.closed()));
    expect(topology.told).toEqual(["up vm1"]);
  });

  it("passes the topology's refusal on and keeps nothing", async () => {
    topology.refusal = "no io port is free";
    const one = client();
    await one.claim("vm1", tap());
    expect(await one.refused()).toBe("busy: no io port is free");
    expect(openTuns()).toBe(1);
    topology.refusal = null;
    await attached("vm1", "vm1");
  });

  it("tells of a new MTU, and lets go when a reload takes the AC away", async () => {
    const one = await attached();
    points.set("vm1", { vsi: "vsi10", handover: true, mtu: 1400 });
    server.refresh();
    server.refresh();
    expect(await one.answer()).toEqual({ mtu: 1400 });
    points.delete("vm1");
    server.refresh();
    expect(await one.refused()).toBe("removed: AC vm1 was removed from the configuration");
    expect(topology.told).toEqual(["up vm1", "down vm1"]);
  });

  it("notices a device that is deleted under a living VM", async () => {
    const one = await attached();
    await bed.ip("vm", "link del dev vm0");
    expect(await one.refused()).toBe("no_tap: the device on AC vm1 is gone");
    expect(topology.told).toEqual(["up vm1", "down vm1"]);
  });

  it("lets go of everybody when it closes, so that they come back to its successor", async () => {
    const one = await attached();
    server.close();
    await one.closed();
    expect(existsSync(path())).toBe(false);
    // Not a word of it to the topology: its workers forward until they stop.
    expect(topology.told).toEqual(["up vm1"]);
  });

  it("does not push another daemon, or another kind of file, aside", async () => {
    const second = new AttachServer({
      gateway: "gw2",
      topology,
      log: { line: () => undefined },
      find: () => undefined,
      kick: () => undefined,
    });
    await expect(second.listen(path())).rejects.toThrow(/attach socket .*: another vtepd answers on it/);
    const file = join(folder, "precious");
    writeFileSync(file, "x");
    await expect(second.listen(file)).rejects.toThrow(/a file that is no socket is in its place.*attach\.socket/);
  });
});
