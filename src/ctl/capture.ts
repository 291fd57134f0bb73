/**
 * `vtepctl capture`: frames as the gateway sees them, with what it did to each, as a capture file.
 *
 * The daemon streams them (`GET /v1/capture`) and this side writes pcapng, so that no file is ever written by the daemon.
 * What a tunnel carries is shown as the inner Ethernet frame. What could not be kept is counted: on stderr at the end, and
 * in the file's statistics.
 */
import { openSync, writeSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import type { Ac, Tunnel } from "../api/schema.ts";
import type { CaptureLine } from "../api/schema-watch.ts";
import { plural } from "../wire/plural.ts";
import { printable } from "../wire/printable.ts";
import { captureIface } from "./capture-iface.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { jsonText, type Output, type Session } from "./output.ts";
import { Pcapng } from "./pcapng.ts";
import { follow, type Lines } from "./stream.ts";
import { isTerminal, put, say, write } from "./terminal.ts";

interface Options {
  readonly vsi?: string[];
  readonly drop?: boolean;
  readonly host?: string[];
  readonly protocol?: string[];
  readonly write?: string;
  readonly count?: number;
  readonly seconds?: number;
  readonly snaplen: number;
  readonly iface?: string;
  readonly vni?: number;
  readonly port: number;
}

type Frame = Extract<CaptureLine, { kind: "frame" }>;

const DEFAULT_SNAPLEN = 262_144;

function positive(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0) throw new InvalidArgumentError("a positive number is wanted.");
  return Number(text);
}

export function addCapture(program: Command, session: Session): void {
  program
    .command("capture")
    .description("frames of ACs and tunnels from inside the gateway, each with its fate")
    .argument("[names...]", "ACs and tunnels (default: all)")
    .option("--vsi <names...>", "only in these VSIs")
    .option("--drop", "only frames that were dropped")
    .option("--host <addresses...>", "only packets from or to one of these, and ARP and ND about them")
    .option("--protocol <names...>", "only these: arp, nd, icmp, tcp, udp, ipv6, other")
    .option("-w, --write <file>", "write pcapng to this file; - is stdout, for a pipe into Wireshark")
    .option("--count <n>", "end after n frames", positive)
    .option("--seconds <s>", "end after s seconds", positive)
    .option("--snaplen <bytes>", "keep at most so much of each frame", positive, DEFAULT_SNAPLEN)
    .option("--iface <device>", "what is on a kernel interface instead, as pcap; needs no daemon")
    .option("--vni <n>", "with --iface: only VXLAN of this VNI", positive)
    .option("--port <n>", "with --vni: UDP port of VXLAN", positive, 4789)
    .addHelpText(
      "after",
      examples(
        "vtepctl capture vm1 gw2 -w /tmp/vm1.pcapng --seconds 10",
        "vtepctl capture --drop",
        "vtepctl capture --host 10.1.1.11 --protocol icmp arp --count 10",
        "vtepctl capture --host 2001:db8:10::11 --protocol icmp nd",
        "vtepctl capture --iface eth0 --vni 10 -w - | tshark -r -",
        "vtepctl capture --vsi vsi10 -w - | wireshark -k -i -",
      ),
    )
    .action((names: string[], options: Options) => {
      if (options.write === "-" && isTerminal()) {
        const hint = "-w FILE, or a pipe: -w - | tshark -r -; without -w each frame is a line";
        throw new Refusal("usage", "frames are bytes that no terminal must see", hint, EXIT.usage);
      }
      if (options.iface === undefined) return capture(session, names, options);
      return captureDevice(options.iface, names, options);
    });
}

/** A kernel interface: no daemon is asked. */
async function captureDevice(device: string, names: readonly string[], options: Options): Promise<void> {
  const { vni = null, port, count = null, seconds = null, write: file } = options;
  const isInside = [options.vsi, options.host, options.protocol].some((filter) => filter !== undefined);
  if (names.length > 0 || isInside || options.drop === true) {
    const hint = "only --vni, --port, --count, --seconds and -w go with it";
    throw new Refusal(
      "usage",
      "--iface captures a device: it knows no ACs, tunnels, VSIs, hosts or drops",
      hint,
      EXIT.usage,
    );
  }
  if (file === undefined) {
    throw new Refusal("usage", "--iface writes a capture file: name it", "-w FILE, or -w - for a pipe", EXIT.usage);
  }
  const frames = await captureIface({ device, vni, port, write: file, count, seconds });
  say(`${plural(frames, "frame")} of ${device}\n`);
}

async function capture({ socket, output }: Session, names: readonly string[], options: Options): Promise<void> {
  if (options.vni != null) {
    throw new Refusal(
      "usage",
      "--vni goes with --iface only",
      "inside the gateway name the VSI: --vsi NAME",
      EXIT.usage,
    );
  }
  const path = `/v1/capture?${await queryOf(socket, names, options)}`;
  const form = options.write === undefined ? lineWriter(output) : fileWriter(options.write, options.snaplen);
  let lines: Lines | null = null;
  let frames = 0;
  let lost = 0;
  let enough = false;
  const stop = () => {
    enough = true;
    lines?.stop();
  };
  const take = (text: string) => {
    if (enough) return;
    const line = JSON.parse(text) as CaptureLine;
    if (line.kind === "lost") lost += line.frames;
    else if (line.kind === "end") {
      lost = Math.max(lost, line.lost);
      stop();
    } else if (line.kind === "start")
      form.start(
        line.ports.map(({ kind, name }) => `${kind} ${name}`),
        line.node,
      );
    else {
      form.frame(line);
      if (++frames === options.count) stop();
    }
  };
  lines = await follow(socket, path, take);
  if (enough) lines.stop();
  const late = options.seconds === undefined ? undefined : setTimeout(stop, options.seconds * 1000);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  const isOurs = await lines.ended;
  clearTimeout(late);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop);
  form.end(lost);
  say(`capture: ${plural(frames, "frame")}, ${lost} lost\n`);
  if (!isOurs)
    throw new Refusal("ended", "the daemon ended the capture", "it was stopped, or restarted", EXIT.unreachable);
}

/** A name may be an AC's or a tunnel's; only the daemon knows. */
async function queryOf(socket: string, names: readonly string[], options: Options): Promise<string> {
  const query = new URLSearchParams({ snaplen: String(Math.min(options.snaplen, DEFAULT_SNAPLEN)) });
  if (options.drop === true) query.set("drop", "1");
  for (const key of ["vsi", "host", "protocol"] as const)
    if (options[key] !== undefined) query.set(key, options[key].join(","));
  for (const key of ["count", "seconds"] as const) if (options[key] !== undefined) query.set(key, String(options[key]));
  if (names.length === 0) return String(query);
  const [acs, tunnels] = await Promise.all([ask<Ac[]>(socket, "/v1/acs"), ask<Tunnel[]>(socket, "/v1/tunnels")]);
  const isIn = (list: readonly { readonly name: string }[]) => (name: string) => list.some((one) => one.name === name);
  const unknown = names.find((name) => !isIn(acs)(name) && !isIn(tunnels)(name));
  if (unknown !== undefined) {
    const hint = "vtepctl show ac and show tunnel list them";
    throw new Refusal("not_found", `there is no AC and no tunnel ${unknown}`, hint, EXIT.notFound);
  }
  const add = (key: string, list: readonly string[]) => {
    if (list.length > 0) query.set(key, list.join(","));
  };
  add("ac", names.filter(isIn(acs)));
  add("tunnel", names.filter(isIn(tunnels)));
  return String(query);
}

interface Writer {
  start(ports: readonly string[], node: string): void;
  frame(frame: Frame): void;
  end(lost: number): void;
}

const placeOf = ({ via }: Frame) => (via === null ? "unknown" : `${via.kind} ${via.name}`);
const commentOf = ({ fate, step, vsi }: Frame) => [step, vsi, fate].filter((part) => part !== null).join(" · ");

/** pcapng; the file is opened before the daemon is asked for frames. */
function fileWriter(path: string, snaplen: number): Writer {
  const fd = path === "-" ? 1 : open(path);
  const put = (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; ) at += writeSome(fd, bytes, at);
  };
  let file: Pcapng | null = null;
  return {
    start(ports, node) {
      file = new Pcapng(put, `vtepctl, at gateway ${node}`, snaplen);
      for (const port of ports) file.port(port, port.startsWith("tunnel") ? `${port}: inner frames` : port);
    },
    frame(frame) {
      const { at, direction, length, data } = frame;
      const bytes = Buffer.from(data, "base64");
      file!.packet({ port: placeOf(frame), at: BigInt(at), direction, length, bytes, comment: commentOf(frame) });
    },
    end: (lost) => file?.end(lost),
  };
}

function open(path: string): number {
  try {
    return openSync(path, "w", 0o600);
  } catch (error) {
    throw new Refusal("file", `cannot write ${path}: ${(error as Error).message}`, "", EXIT.failure);
  }
}

/** A pipe that is full makes us wait: it is the reader who decides the pace. */
function writeSome(fd: number, bytes: Buffer, at: number): number {
  try {
    return writeSync(fd, bytes, at);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EAGAIN") {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      return 0;
    }
    // Wireshark was closed.
    if (code === "EPIPE") process.exit(EXIT.ok);
    throw new Refusal("file", `cannot write: ${(error as Error).message}`, "is the disk full?", EXIT.failure);
  }
}

/** Without a file: a line for each frame, or JSON lines as they come. */
function lineWriter({ form }: Output): Writer {
  return {
    start: () => undefined,
    frame(frame) {
      if (form !== "table") return void put(`${jsonText(frame, true)}\n`);
      const time = new Date(Number(BigInt(frame.at) / 1_000_000n)).toISOString().slice(11, 23);
      const place = `${frame.direction === "in" ? "from" : "to"} ${placeOf(frame)}`;
      const what = `${place.padEnd(20)}  ${frame.summary}  ${frame.fate}`;
      void write(`${time}  ${(frame.step ?? "-").padEnd(9)}  ${printable(what)}\n`);
    },
    end: () => undefined,
  };
}
