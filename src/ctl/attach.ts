/**
 * `vtepctl attach`: the VM's side of TAP hand-over.
 *
 * Run inside the VM's network namespace (a container with `network_mode: none`, `ip netns exec`), with CAP_NET_ADMIN and
 * /dev/net/tun. It makes a TAP, hands its file descriptor to the gateway, and when the gateway has taken it gives the
 * device the overlay's MTU, MAC, address and default route. The gateway needs neither the namespace nor a capability.
 *
 * It then stays: the device lives as long as this process, and is offered again when the gateway restarts (hold.ts). With
 * a command behind it (`--exec`), that is started once the network is there, and its end is the end of the VM.
 *
 * Exit codes: 0 after SIGTERM or SIGINT, the command's own with --exec, 1 refused, 3 no gateway within --wait, 6 no right
 * to make the TAP.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import type { Command } from "commander";
import { PROTOCOL_VERSION } from "../attach/protocol.ts";
import { type Read, readGateway, readHost, readMacText } from "../config/address.ts";
import { IoError } from "../io/addon.ts";
import { isTapThere } from "../io/handover.ts";
import { openTap, setTap } from "../io/tap.ts";
import { plural } from "../wire/plural.ts";
import { printable } from "../wire/printable.ts";
import { EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { userNumber } from "./gateway-user.ts";
import { type Attached, Hold } from "./hold.ts";
import type { Session } from "./output.ts";
import { say } from "./terminal.ts";

interface Options {
  readonly ac: string;
  readonly device: string;
  readonly mac?: string;
  readonly address?: string;
  readonly gateway?: string;
  readonly wait: string;
  readonly exec?: boolean;
  readonly gatewayUser?: string;
}

/** Frames the kernel queues toward the gateway; also what a gateway restart may cost nothing. */
const TX_QUEUE_FRAMES = 1000;
const LOOK_EVERY_MS = 1000;
/** Frames that the device's queue had no room for are told of, but not every second. */
const TELL_LOSS_EVERY_MS = 10_000;

export function addAttach(program: Command, session: Session): void {
  program
    .command("attach")
    .description("make a TAP here and hand it to a gateway (run in the VM's namespace; -s is the attach socket)")
    .addHelpText(
      "after",
      examples("vtepctl -s /run/vtepd/gw1.attach.sock attach --ac vm3 --address 10.1.1.13/24 --gateway 10.1.1.1"),
    )
    .requiredOption("--ac <name>", "the AC to be, one with handover: true")
    .option("--device <name>", "name of the device", "eth0")
    .option("--mac <mac>", "its MAC address; default: the kernel chooses")
    .option("--address <address/length>", "its IPv4 address")
    .option("--gateway <address>", "default route")
    .option("--wait <seconds>", "how long to wait for the gateway, at first", "30")
    .option("--gateway-user <user>", "who must listen on the socket; default: the owner of its folder")
    .option("--exec", "run the command that follows, once attached, and end with it")
    .argument("[command...]")
    .passThroughOptions()
    .action((command: string[], options: Options) => attach(session.socket, check(options, command), command));
}

// ---- the command line ------------------------------------------------------------------------------------------

function check(options: Options, command: readonly string[]): Options {
  parse(options.mac, (text) => readMacText(text, false));
  const address = parse(options.address, readGateway);
  const gateway = parse(options.gateway, readHost);
  if (gateway !== undefined && address === undefined) usage("--gateway needs --address", "give the VM an address");
  if (!/^\d{1,6}$/.test(options.wait)) usage(`--wait ${options.wait} is no number of seconds`, "write --wait 30");
  if (options.gatewayUser !== undefined && userNumber(options.gatewayUser) === null)
    usage(`there is no user ${options.gatewayUser} here`, "write its number: --gateway-user 4789");
  if ((options.exec === true) !== command.length > 0)
    usage(
      options.exec ? "--exec names no command" : `what is ${command[0]}?`,
      "write --exec COMMAND, behind all options",
    );
  return options;
}

function parse<T>(text: string | undefined, reader: (text: string) => Read<T>): T | undefined {
  if (text === undefined) return undefined;
  const result = reader(text);
  return "value" in result ? result.value : usage(result.wrong, result.fix);
}

function usage(message: string, hint: string): never {
  throw new Refusal("usage", message, hint, EXIT.usage);
}

// ---- the device ------------------------------------------------------------------------------------------------

function makeTap({ device, mac }: Options): number {
  try {
    const fd = openTap({ device }).fds[0]!;
    // Up, so that the gateway's first frames (it announces itself) find somebody; no carrier until the gateway gives it.
    setTap(fd, { txQueueLength: TX_QUEUE_FRAMES, carrier: false });
    if (mac !== undefined) ip([`link set dev ${device} address ${mac}`]);
    setTap(fd, { up: true });
    return fd;
  } catch (error) {
    if (!(error instanceof IoError)) throw error;
    const isRight = error.code === "EPERM" || error.code === "EACCES" || error.code === "ERR_ADDON";
    throw new Refusal("device", error.message, "", isRight ? EXIT.permission : EXIT.failure);
  }
}

function configure({ device, address, gateway }: Options, mtu: number): void {
  ip([
    `link set dev ${device} mtu ${mtu}`,
    ...(address === undefined ? [] : [`addr replace ${address} dev ${device}`]),
    ...(gateway === undefined ? [] : [`route replace default via ${gateway} dev ${device} onlink`]),
  ]);
}

/**
 * Make the VM's kernel say its address by gratuitous ARP, so that a gateway that took the place of another one knows it
 * before the next answer to it arrives. The kernel does so when the MAC is set, be it the same one, where `arp_notify` is on
 * (kernel: networking/ip-sysctl). Only a courtesy: without it the gateway asks.
 */
function announce(device: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv4/conf/${device}/arp_notify`, "1");
  } catch {
    // A container's /proc/sys is read-only: compose.yaml sets arp_notify for all devices.
  }
  const { stdout } = spawnSync("ip", ["-o", "link", "show", "dev", device], { encoding: "utf8" });
  const mac = /link\/ether (\S+)/.exec(stdout)?.[1];
  if (mac !== undefined) ip([`link set dev ${device} address ${mac}`]);
}

/** In one go, as `ip -batch`, which no text of ours can turn into another program. */
function ip(lines: readonly string[]): void {
  const { error, status, stderr } = spawnSync("ip", ["-batch", "-"], {
    input: `${lines.join("\n")}\n`,
    encoding: "utf8",
  });
  if (error !== undefined)
    throw new Refusal("device", `cannot run ip: ${error.message}`, "install iproute2", EXIT.failure);
  if (status !== 0) {
    const text = `the device could not be set up: ${stderr.trim().split("\n")[0]}`;
    throw new Refusal("device", text, "is --address given twice, or CAP_NET_ADMIN missing?", EXIT.failure);
  }
}

// ---- the life --------------------------------------------------------------------------------------------------

const tell = (text: string): void => say(`attach: ${printable(text)}\n`);

/** Resolves when it is over; throws a Refusal when the gateway, or the kernel, says no. */
function attach(socket: string, options: Options, command: readonly string[]): Promise<void> {
  const { ac, device } = options;
  const tap = makeTap(options);
  return new Promise<void>((resolve, reject) => {
    let isSetUp = false;
    let isHeld = false;
    let child: ChildProcess | undefined;
    const finish = (refusal?: Refusal): void => {
      clearTimeout(late);
      clearInterval(look);
      hold.end();
      child?.kill("SIGTERM");
      if (refusal === undefined) resolve();
      else reject(refusal);
    };
    const attempt = (act: () => void): void => {
      try {
        act();
      } catch (error) {
        finish(error instanceof Refusal ? error : new Refusal("device", String(error), "", EXIT.failure));
      }
    };
    const isHere = ({ gateway, vsi, mtu }: Attached): void =>
      attempt(() => {
        isHeld = true;
        tell(`${device} is AC ${ac} of ${gateway}, in VSI ${vsi}, MTU ${mtu}`);
        if (isSetUp) {
          setTap(tap, { mtu });
          return announce(device);
        }
        configure(options, mtu);
        isSetUp = true;
        clearTimeout(late);
        if (command.length > 0) child = launch(command, finish);
      });
    const hold = new Hold(
      socket,
      tap,
      { version: PROTOCOL_VERSION, ac, device },
      {
        attached: isHere,
        mtu: (mtu) => attempt(() => setTap(tap, { mtu })),
        lost: (why) => {
          if (isHeld) tell(`lost the gateway: ${why}; offering ${device} again`);
          else if (!isSetUp && why !== lastWhy)
            tell(`no gateway at ${socket} yet: ${why}; trying for ${options.wait} s`);
          isHeld = false;
          lastWhy = why;
        },
        distrusted: (why) => {
          if (why !== lastDistrust) tell(`${why}: ${device} is not given to it`);
          lastDistrust = why;
        },
        away: () => {
          if (isTapThere(tap)) setTap(tap, { carrier: false });
        },
        // On a busy machine the gateway may have given the carrier before we took it.
        back: () => {
          if (isTapThere(tap)) setTap(tap, { carrier: true });
        },
        refused: ({ code, message, hint }) => finish(new Refusal(code, message, hint, EXIT.failure)),
      },
      options.gatewayUser === undefined ? null : userNumber(options.gatewayUser),
    );
    let lastWhy = "";
    let lastDistrust = "";
    const late = setTimeout(() => {
      const text = `no gateway took ${device} at ${socket} within ${options.wait} s: ${lastWhy}`;
      finish(new Refusal("unreachable", text, "is vtepd running, with attach.socket there?", EXIT.unreachable));
    }, 1000 * Number(options.wait));
    const queue = new Queue(device);
    const look = setInterval(() => {
      const lost = queue.newlyLost(performance.now());
      if (lost > 0)
        tell(
          `${plural(lost, "frame")} found no room in the queue of ${device}: this VM sends faster than the gateway takes`,
        );
      if (!isTapThere(tap)) finish(new Refusal("device", `${device} was deleted`, "attach again", EXIT.failure));
    }, LOOK_EVERY_MS);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.removeAllListeners(signal);
      process.on(signal, () => finish());
    }
    hold.offer();
  });
}

/**
 * The queue of the TAP towards the gateway, of which the gateway never knows what it had no room for: only the kernel of this
 * namespace counts it.
 */
export class Queue {
  private readonly file: string;
  private told: number;
  private toldMs = Number.NEGATIVE_INFINITY;

  constructor(device: string, folder = "/sys/class/net") {
    this.file = `${folder}/${device}/statistics/tx_dropped`;
    this.told = this.lost();
  }

  /** Frames lost since it was last told, when it is time to tell again; else 0. */
  newlyLost(nowMs: number): number {
    if (nowMs - this.toldMs < TELL_LOSS_EVERY_MS) return 0;
    const lost = this.lost();
    const news = lost - this.told;
    if (news > 0) this.toldMs = nowMs;
    this.told = lost;
    return news;
  }

  private lost(): number {
    try {
      return Number(readFileSync(this.file, "utf8"));
    } catch {
      return 0; // another /sys, or none
    }
  }
}

/** The workload; its end is ours, and so is its exit code. */
function launch([program, ...args]: readonly string[], finish: (refusal?: Refusal) => void): ChildProcess {
  const child = spawn(program!, args, { stdio: "inherit" });
  child.on("error", (error) =>
    finish(new Refusal("exec", `cannot run ${program}: ${error.message}`, "", EXIT.failure)),
  );
  child.on("exit", (code, signal) => {
    const exit = code ?? 128 + constants.signals[signal!];
    if (exit === 0) finish();
    else finish(new Refusal("exec", `${program} ended with ${code ?? signal}`, "", exit));
  });
  return child;
}
