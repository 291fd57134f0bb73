/**
 * `vtepctl trace`: what would happen to this packet, stage by stage; with --inject it happens.
 *
 * The words after the options read as people write packets: `icmp 10.1.1.11 '>' 20.1.1.12`; the arrow may be left out.
 */
import { type Command, InvalidArgumentError } from "commander";
import type { Trace, TraceRequest } from "../api/schema-trace.ts";
import { printable } from "../wire/printable.ts";
import { EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { answerForm, failFor, isFleet, silentText } from "./fleet.ts";
import { askTrace, endText, followAll } from "./fleet-trace.ts";
import { printValue, type Session } from "./output.ts";
import { write } from "./terminal.ts";

const ARROWS = new Set([">", "->", "to"]);
/** As tools print it: 10.1.1.11:40000, [2001:db8:10::11]:40000. */
const ENDPOINT = /^(?:\[([0-9a-f:.]+)\]|(\d+\.\d+\.\d+\.\d+))(?::(\d{1,5}))?$/i;
const PROTOCOLS = new Set(["icmp", "tcp", "udp", "arp", "nd"]);
/** As others call it. */
const ALIASES: Readonly<Record<string, string>> = { icmp6: "icmp", icmpv6: "icmp" };

function integer(text: string): number {
  if (!/^\d{1,8}$/.test(text)) throw new InvalidArgumentError("a number is wanted.");
  return Number(text);
}

export function addTrace(program: Command, session: Session): void {
  program
    .command("trace")
    .description("follow a described packet through the live tables to its fate; nothing is sent without --inject")
    .argument("[packet...]", "protocol (icmp, tcp, udp, arp, nd), source, destination: icmp 10.1.1.11 '>' 20.1.1.12")
    .option("--ac <name>", "it arrives at this AC")
    .option("--tunnel <name>", "or by this tunnel; needs --vni")
    .option("--peer <address>", "or by the tunnel to this VTEP; needs --vni")
    .option("--vni <number>", "inside this VXLAN", integer)
    .option("--vrf <name>", "of this VRF; without AC, tunnel and peer it arrives where the VRF knows its source")
    .option("--ttl <number>", "TTL or hop limit (default: 64)", integer)
    .option("--dscp <number>", "DSCP (default: 0)", integer)
    .option("--size <bytes>", "length of the IP packet (default: 84)", integer)
    .option("--df", "don't fragment (IPv4)")
    .option("--sport <port>", "source port (default: 40000)", integer)
    .option("--dport <port>", "destination port (default: 80)", integer)
    .option("--dst-mac <mac>", "destination MAC (default: the gateway MAC, or that of a group or broadcast address)")
    .option("--src-mac <mac>", "source MAC (default: that of the known host)")
    .option("--vlan <id>", "802.1Q tag (default: the AC's)", integer)
    .option("--hex <bytes>", "the frame itself, in place of a description")
    .option("--inject", "send it too, as if it had arrived there")
    .option("--gateway <node>", "of several gateways, the one where it arrives (default: the one that has the AC)")
    .addHelpText(
      "after",
      examples(
        "vtepctl trace --ac vm1 icmp 10.1.1.11 '>' 20.1.1.12",
        "vtepctl trace --ac vm1 tcp 10.1.1.11 to 50.1.1.1 --dport 443 --size 1500 --df",
        "vtepctl trace --ac vm1 tcp 10.1.1.11:40000 '>' 50.1.1.1:443",
        "vtepctl trace --tunnel gw2 --vni 10 udp 10.1.1.12 '>' 10.1.1.11",
        "vtepctl trace --ac vm1 arp 10.1.1.11 '>' 10.1.1.12 -o json",
        "vtepctl trace --ac vm1 icmp 2001:db8:10::11 '>' 2001:db8:20::12",
        "vtepctl trace --ac vm1 tcp '[2001:db8:10::11]:40000' '>' '[2001:db8:50::1]:443'",
        "vtepctl trace --ac vm1 nd 2001:db8:10::11 '>' 2001:db8:10::12",
        "vtepctl trace --vrf red icmp 10.1.1.11 '>' 50.1.1.1",
        "vtepctl trace --fleet /run/vtepd --ac vm1 icmp 10.1.1.11 '>' 20.1.1.12",
      ),
    )
    .action(async (words: string[], options: Record<string, string | number | boolean>) => {
      const body = requestOf(words, options);
      if (isFleet(session)) {
        const followed = followAll(session.sockets, body, options.gateway as string | undefined);
        const { legs, silent } = await followed.catch(inOurWords);
        if (session.output.form !== "table") {
          const forms = silent.map((answer) => answerForm(answer, {}));
          await printValue(session.output, { legs, silent: forms });
        } else {
          for (const { node, trace, beyond } of legs)
            await write(`${printable(node)}: ${text(trace)}`, ...beyond.map((line) => `(${printable(line)})\n`), "\n");
          for (const answer of silent) await write(`${printable(silentText(answer))}\n`);
          await write(`END  ${endText(legs)}\n`);
        }
        return failFor(silent);
      }
      const trace = await askTrace(session.socket, body).catch(inOurWords);
      if (session.output.form !== "table") return await printValue(session.output, trace);
      await write(text(trace));
    });
}

const KEYS: Readonly<Record<string, keyof TraceRequest>> = {
  ac: "ac",
  tunnel: "tunnel",
  peer: "peer",
  vni: "vni",
  vrf: "vrf",
  ttl: "ttl",
  dscp: "dscp",
  size: "size",
  df: "df",
  sport: "sourcePort",
  dport: "destinationPort",
  dstMac: "destinationMac",
  srcMac: "sourceMac",
  vlan: "vlan",
  hex: "hex",
  inject: "inject",
};

function requestOf(
  words: readonly string[],
  options: Record<string, string | number | boolean>,
): Record<string, unknown> {
  const rest = words.filter((word) => !ARROWS.has(word));
  const body: Record<string, unknown> = {};
  for (const [option, key] of Object.entries(KEYS)) if (options[option] !== undefined) body[key] = options[option];
  if (typeof body.hex === "string") body.hex = body.hex.replace(/[\s:]/g, "");
  if (rest.length > 0) rest[0] = ALIASES[rest[0]!] ?? rest[0]!;
  if (rest.length > 0 && PROTOCOLS.has(rest[0]!)) body.protocol = rest.shift();
  else if (rest.length === 3 && /^[a-z]/i.test(rest[0]!))
    usage(
      `${rest[0]} is no protocol that can be described`,
      `${[...PROTOCOLS].join(", ")}; any other frame: --hex BYTES`,
    );
  if (body.hex !== undefined && words.length > 0) usage("--hex is the whole packet", "leave the description out");
  if (body.hex === undefined && rest.length !== 2)
    usage("the packet is not described", "write: trace --ac vm1 icmp 10.1.1.11 '>' 20.1.1.12");
  if (body.hex === undefined) {
    for (const [side, text] of [["source", rest[0]!] as const, ["destination", rest[1]!] as const]) {
      const [, ipv6, ipv4, port] = ENDPOINT.exec(text) ?? [];
      body[side] = ipv6 ?? ipv4 ?? text;
      if (port !== undefined) body[`${side}Port`] ??= Number(port);
    }
  }
  const places = [body.ac, body.tunnel, body.peer].filter((place) => place !== undefined).length;
  if (places > 1 || (places === 0 && body.hex !== undefined))
    usage("say where the packet arrives", "--ac NAME, or --tunnel NAME --vni NUMBER, or --peer ADDRESS --vni NUMBER");
  return body;
}

/** What the API calls `destinationMac` is `--dst-mac` here. */
function inOurWords(error: unknown): never {
  if (!(error instanceof Refusal) || error.exit !== EXIT.usage) throw error;
  const [, key, problem] = /^(\w+): (.*)$/s.exec(error.message) ?? [];
  const option = Object.entries(KEYS).find(([, name]) => name === key)?.[0];
  const name = option === undefined ? key : `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  if (name === undefined) throw error;
  throw new Refusal(error.code, `${name}: ${problem}`, "vtepctl trace --help tells what may be asked", error.exit);
}

function usage(message: string, hint: string): never {
  throw new Refusal("usage", message, hint, EXIT.usage);
}

/** Numbered lines in three columns, and the fate. */
function text({ packet, steps, fate, injected }: Trace): string {
  const width = Math.max(24, ...steps.map((step) => step.text.length));
  const lines = steps.map(({ stage, text: found, result }, i) =>
    `${String(i + 1).padStart(2)} ${stage.padEnd(8)}  ${found.padEnd(width)}  ${result}`.trimEnd(),
  );
  const note = injected ? "(injected: this packet is on its way)" : "(what-if: nothing was sent)";
  const next = fate.next === null ? [] : [`NEXT ${fate.next}`];
  const last = `FATE ${fate.text}`.padEnd(width + 14);
  return `${[packet, ...lines, `${last} ${note}`, ...next].map(printable).join("\n")}\n`;
}
