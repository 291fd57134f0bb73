/**
 * `vtepctl ping TUNNEL`: does the peer's machine answer, how far is it, and how long a packet fits on the way? And
 * `vtepctl ping HOST --interface NAME`: does a host of the overlay answer this gateway?
 *
 * The daemon sends the echoes, from its VTEP address and with Don't Fragment, so this is the way that the tunnel takes. Exit 7:
 * no answer; 6: the daemon cannot probe.
 */
import { isIP } from "node:net";
import { type Command, InvalidArgumentError } from "commander";
import type { Tunnel } from "../api/schema.ts";
import type { HostPing, PathSearch, PingResult } from "../api/schema-probe.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { printValue, type Session } from "./output.ts";
import { write } from "./terminal.ts";

interface PingOptions {
  readonly count: number;
  readonly interval: number;
  readonly length?: number;
  readonly mtu?: boolean;
  readonly interface?: string;
}

const LOOK_MS = 100;
const SEARCH_MS = 60_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function number(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`a whole number from ${least} to ${most} is needed`);
    return value;
  };
}

export function addPing(program: Command, session: Session): void {
  program
    .command("ping")
    .description(
      "is the peer of a tunnel alive, how far is it, how long a packet fits on the way; or: does a host answer",
    )
    .argument("<tunnel>", "name of the tunnel; with --interface, the address of a host")
    .option("-c, --count <n>", "how many echoes", number(1, 1000), 3)
    .option("-i, --interval <ms>", "milliseconds between them", number(10, 60_000), 200)
    .option(
      "-l, --length <bytes>",
      "length of the IP packet (default: 64, Don't Fragment set; of a host 84)",
      number(28, 65_535),
    )
    .option("--interface <name>", "from this VSI-interface to a host, through the overlay; needs no capability")
    .option("--mtu", "search for the path MTU instead, and use what is found")
    .addHelpText(
      "after",
      examples(
        "vtepctl ping gw2",
        "vtepctl ping border --mtu",
        "vtepctl ping gw2 -c 1 -l 1500",
        "vtepctl ping 10.1.1.12 --interface vsi-interface10",
        "vtepctl ping 2001:db8:10::12 --interface vsi-interface10",
      ),
    )
    .action(async (name: string, options: PingOptions) => {
      if (options.interface !== undefined) return await pingHost(session, name, options.interface, options);
      if (isIP(name) !== 0) {
        const hint = `to ping a host: vtepctl ping ${name} --interface NAME (vtepctl show interface lists them)`;
        throw new Refusal("usage", `${name} is an address, and no name of a tunnel`, hint, EXIT.usage);
      }
      const tunnels = await ask<Tunnel[]>(session.socket, "/v1/tunnels");
      const tunnel = tunnels.find((each) => each.name === name);
      if (tunnel === undefined) {
        throw new Refusal("not_found", `there is no tunnel ${name}`, "vtepctl show tunnel lists them", EXIT.notFound);
      }
      if (options.mtu === true) await searchMtu(session, tunnel);
      else await echo(session, tunnel, options);
    });
}

async function echo(session: Session, tunnel: Tunnel, { count, interval, length = 64 }: PingOptions): Promise<void> {
  const isTable = session.output.form === "table";
  const path = `/v1/tunnels/${encodeURIComponent(tunnel.name)}/echo?length=${length}`;
  const echoes: PingResult[] = [];
  for (let n = 1; n <= count; n++) {
    if (n > 1) await pause(interval);
    const result = await ask<PingResult>(session.socket, path, "POST");
    if (result.kind === "off") throw cannotProbe(result.reason ?? "", result.fix ?? "");
    echoes.push(result);
    if (isTable) await write(`${lineOf(tunnel, n, result)}\n`);
  }
  const times = echoes.flatMap(({ rttMs }) => (rttMs === null ? [] : [rttMs]));
  if (isTable) await write(`${summaryOf(count, times)}\n`);
  else {
    const { name, remote } = tunnel;
    await printValue(session.output, { tunnel: name, remote, sent: count, answered: times.length, echoes });
  }
  if (times.length === 0) throw new Refusal("no_answer", "", "", EXIT.unhealthy);
}

/** Echoes from a VSI-interface to a host; what a loss means is the daemon's to say, once. */
async function pingHost(session: Session, ip: string, iface: string, options: PingOptions): Promise<void> {
  const { count, interval, length = 84, mtu } = options;
  if (mtu === true) throw new Refusal("usage", "--mtu is for tunnels", "leave it out, or name a tunnel", EXIT.usage);
  const isTable = session.output.form === "table";
  const path = `/v1/interfaces/${encodeURIComponent(iface)}/echo?${new URLSearchParams({ ip, length: String(length) })}`;
  const echoes: HostPing[] = [];
  for (let n = 1; n <= count; n++) {
    if (n > 1) await pause(interval);
    const result = await ask<HostPing>(session.socket, path, "POST");
    echoes.push(result);
    const where = result.via === null ? "" : ` (${result.via.kind} ${result.via.name})`;
    if (isTable)
      await write(`${length} bytes from ${result.source} to ${ip}${where}, ${n}: ${HOST_WORDS[result.kind](result)}\n`);
  }
  const times = echoes.flatMap(({ rttMs }) => (rttMs === null ? [] : [rttMs]));
  if (isTable) {
    await write(`${summaryOf(count, times)}\n`);
    for (const note of new Set(echoes.flatMap((echo) => echo.note ?? []))) await write(`note: ${note}\n`);
  } else await printValue(session.output, { interface: iface, ip, sent: count, answered: times.length, echoes });
  if (times.length === 0) throw new Refusal("no_answer", "", "", EXIT.unhealthy);
}

const HOST_WORDS: Readonly<Record<HostPing["kind"], (result: HostPing) => string>> = {
  reply: ({ rttMs, ttl, source }) => `${rttMs!.toFixed(3)} ms, ${isIP(source) === 6 ? "hop limit" : "ttl"} ${ttl}`,
  lost: () => "no answer in 1 s",
  unresolved: ({ source }) => `no answer in 1 s, and none to ${isIP(source) === 6 ? "neighbour discovery" : "ARP"}`,
  busy: () => "not sent: too many wait already",
};

function lineOf({ name, remote }: Tunnel, n: number, { kind, length, rttMs, mtu }: PingResult): string {
  const what = `${length} bytes to ${name} (${remote}), ${n}:`;
  if (kind === "reply") return `${what} ${rttMs!.toFixed(3)} ms`;
  if (kind === "lost") return `${what} no answer in 1 s`;
  return `${what} too long${mtu === null ? " for our own device" : `: a router on the way carries ${mtu}`}`;
}

function summaryOf(count: number, times: readonly number[]): string {
  const lost = Math.round(((count - times.length) / count) * 100);
  const head = `${count} sent, ${times.length} answered, ${lost} % lost`;
  if (times.length === 0) return head;
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const [least, most] = [Math.min(...times), Math.max(...times)];
  return `${head}; round trip ${least.toFixed(3)}/${mean.toFixed(3)}/${most.toFixed(3)} ms (least/mean/most)`;
}

async function searchMtu(session: Session, tunnel: Tunnel): Promise<void> {
  const path = `/v1/tunnels/${encodeURIComponent(tunnel.name)}/path-mtu`;
  // 503 says that probing is off: an exit code of its own.
  const begun = await ask<PathSearch | { error: { message: string; hint: string } }>(session.socket, path, "POST", {
    also: [503],
  });
  if ("error" in begun) throw cannotProbe(begun.error.message.replace(/^probing is off: /, ""), begun.error.hint);
  let search = begun;
  let told = 0;
  const tell = async () => {
    if (session.output.form !== "table") return;
    for (; told < search.tries.length; told++) await write(`${tryText(search.tries[told]!)}\n`);
  };
  for (const end = performance.now() + SEARCH_MS; search.searching; ) {
    if (performance.now() > end) throw new Refusal("timeout", "the search takes too long", "", EXIT.failure);
    await pause(LOOK_MS);
    search = await ask<PathSearch>(session.socket, path);
    await tell();
  }
  if (session.output.form !== "table") await printValue(session.output, search);
  else {
    await tell();
    const to = `${tunnel.name} (${tunnel.remote})`;
    if (search.silent || search.pathMtu === null) await write(`${to} answers no echo: its path MTU cannot be told\n`);
    else await write(`path MTU to ${to}: ${search.pathMtu} bytes, ${search.innerMtu} inside the tunnel\n`);
    if (search.pathMtu !== null && search.usedMtu < search.pathMtu) {
      const forgets = "it forgets within ten minutes, or at once with `ip route flush cache`";
      await write(
        `  our own kernel was told of a path MTU of ${search.usedMtu} and sends nothing longer: ${forgets}\n`,
      );
    }
  }
  if (search.silent || search.pathMtu === null) throw new Refusal("no_answer", "", "", EXIT.unhealthy);
}

function tryText({ length, passed, hint }: PathSearch["tries"][number]): string {
  const word = passed ? "passes" : hint > 0 ? `too long; a router on the way carries ${hint}` : "does not pass";
  return `${String(length).padStart(5)} bytes  ${word}`;
}

function cannotProbe(reason: string, fix: string): Refusal {
  return new Refusal("probing_off", `the daemon cannot probe: ${reason}`, fix, EXIT.permission);
}
