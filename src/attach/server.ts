/**
 * The attach socket: where VMs hand their TAPs over, and what that makes of an AC.
 *
 * A connection claims one AC with one message (attach/protocol.ts) and holds it for as long as it lives. So a VM
 * that dies, is killed or is frozen to death lets go at once and without a word, and a gateway that dies is noticed by its
 * VMs in the same way: they come back with the same TAP, which has queued their frames meanwhile.
 *
 * Who may claim: a process that can open the socket (mode 0660) and is root, the daemon's user, or of the daemon's group, as the
 * kernel says (SO_PEERCRED); among those, first come, first served. While an AC is held by a living connection a second
 * claim is refused, and the VM in place does not notice. A holder whose connection is dead already but not yet looked at
 * is no holder: a restarted VM must not be refused because of its own corpse.
 *
 * Hostile clients: connections without a claim are few and have a second, and the oldest of them makes room for a newcomer, so
 * that they keep no claim out; a message is at most 4 KB with one fd, a second message ends the connection; everything that arrives is checked before the topology hears of it.
 *
 * A device can vanish under a connection that lives (its namespace is deleted, `ip link del`): looked for every second.
 * The fd of a claim belongs to the topology once it has taken it, and to this file before.
 */
import { unlinkSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { faultsTo, listening, prepareSocket } from "../api/listener.ts";
import type { Topology } from "../control/topology/topology.ts";
import { IoError } from "../io/addon.ts";
import { fdOf, isTapThere, watchReadable, whyNoTap } from "../io/handover.ts";
import { closeFd, type ReceivedFd, receiveFd, sendFd } from "../io/native.ts";
import { setTap } from "../io/tap.ts";
import type { Log } from "../log/log.ts";
import { type Answer, lineOf, type RefusalCode, readClaim } from "./protocol.ts";

/** Connections that have not claimed anything. */
const MAX_PENDING = 64;
const CLAIM_WITHIN_MS = 1000;
const LOOK_EVERY_MS = 1000;

/** What the server needs to know of ACs. */
export interface AttachPoint {
  readonly vsi: string;
  readonly handover: boolean;
  readonly mtu: number;
}

export interface AttachParts {
  readonly gateway: string;
  readonly topology: Pick<Topology, "handOver" | "takeBack">;
  readonly log: Pick<Log, "line">;
  find(ac: string): AttachPoint | undefined;
  /** Control has something to do. */
  kick(): void;
}

interface Connection {
  readonly socket: Socket;
  readonly fd: number;
  /** Ends the wait for a claim. */
  readonly late: NodeJS.Timeout;
  readonly unwatch: () => void;
  hold: Hold | null;
}

interface Hold {
  readonly ac: string;
  readonly vsi: string;
  readonly tap: number;
  mtu: number;
}

export class AttachServer {
  private readonly parts: AttachParts;
  private readonly server: Server;
  private readonly connections = new Set<Connection>();
  /** Those without a claim, the oldest first. */
  private readonly pending = new Set<Connection>();
  private readonly holders = new Map<string, Connection>();
  private path = "";
  private timer: NodeJS.Timeout | null = null;

  constructor(parts: AttachParts) {
    this.parts = parts;
    this.server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => this.take(socket));
  }

  /** Throws ListenError. */
  async listen(path: string): Promise<void> {
    await prepareSocket(path, "attach");
    const umask = process.umask(0o117);
    try {
      this.server.listen(path);
    } finally {
      process.umask(umask);
    }
    await listening(this.server, `attach socket ${path}`, faultsTo(this.parts.log));
    this.path = path;
    this.timer = setInterval(() => this.lookAfterTaps(), LOOK_EVERY_MS);
  }

  /** The configuration changed: let go of what is no AC for hand-over any more, and pass new MTUs on. */
  refresh(): void {
    for (const [ac, holder] of [...this.holders]) {
      const point = this.parts.find(ac);
      if (point?.handover !== true) {
        this.refuse(holder, "removed", `AC ${ac} was removed from the configuration`, "attach to another AC");
      } else if (point.mtu !== holder.hold!.mtu) {
        holder.hold!.mtu = point.mtu;
        this.say(holder, { mtu: point.mtu });
      }
    }
  }

  /** Stop listening and let everybody go; what they hold ends with the process. */
  close(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.server.close();
    for (const connection of [...this.connections]) {
      connection.hold = null;
      this.drop(connection);
    }
    try {
      if (this.path !== "") unlinkSync(this.path);
    } catch {
      // somebody else removed it: then it is gone
    }
  }

  /** A connection without a claim. */
  private take(socket: Socket): void {
    const fd = fdOf(socket);
    socket.on("error", () => undefined);
    if (fd < 0) return void socket.destroy();
    for (const oldest of this.pending) {
      if (this.pending.size < MAX_PENDING) break;
      this.refuse(oldest, "busy", "too many connections claim nothing", "try again");
    }
    const late = setTimeout(
      () => this.refuse(connection, "protocol", "no claim came in 1 s", "use vtepctl attach"),
      CLAIM_WITHIN_MS,
    );
    const unwatch = watchReadable(fd, () => this.read(connection));
    const connection: Connection = { socket, fd, late, unwatch, hold: null };
    this.connections.add(connection);
    this.pending.add(connection);
  }

  /** Something arrived, or the other side is gone. */
  private read(connection: Connection): void {
    let message: ReceivedFd | undefined;
    try {
      message = receiveFd(connection.fd);
    } catch (error) {
      if (!(error instanceof IoError)) throw error;
      this.drop(connection);
      return;
    }
    if (message === undefined) return;
    if (message.text === "") {
      if (message.fd >= 0) closeFd(message.fd);
      this.drop(connection);
    } else if (connection.hold !== null) {
      if (message.fd >= 0) closeFd(message.fd);
      this.refuse(connection, "protocol", "one connection claims one AC, once", "open another connection");
    } else if (!this.claim(connection, message) && message.fd >= 0) closeFd(message.fd);
  }

  /** @returns true if the fd is the topology's now. */
  private claim(connection: Connection, { pid, uid, gid, fd, text }: ReceivedFd): boolean {
    const refuse = (code: RefusalCode, message: string, hint: string): false => {
      this.refuse(connection, code, message, hint);
      return false;
    };
    if (uid !== 0 && uid !== process.geteuid!() && gid !== process.getegid!())
      return refuse("denied", `user ${uid} may not attach`, "run as root, or in the gateway's group");
    const claim = readClaim(text);
    if (claim === null) return refuse("protocol", "this is no claim", "use the vtepctl of this version");
    const { ac, device } = claim;
    const point = this.parts.find(ac);
    if (point === undefined) return refuse("unknown", `there is no AC ${ac}`, "`vtepctl show ac` lists them");
    if (!point.handover)
      return refuse("unknown", `AC ${ac} makes its own TAP`, "say `handover: true` in the configuration");
    const problem = fd < 0 ? "no file descriptor came with the claim" : whyNoTap(fd);
    if (problem !== null) return refuse("no_tap", problem, "use vtepctl attach");
    if (this.isHeld(ac)) return refuse("held", `AC ${ac} is held by another VM`, "stop that one first");
    const refused = this.parts.topology.handOver(ac, { fds: [fd], ifindex: 0 });
    if (refused !== null) return refuse("busy", refused, "try again");
    clearTimeout(connection.late);
    this.pending.delete(connection);
    connection.hold = { ac, vsi: point.vsi, tap: fd, mtu: point.mtu };
    this.holders.set(ac, connection);
    return this.attached(connection, { pid, uid, device });
  }

  private attached(connection: Connection, { pid, uid, device }: { pid: number; uid: number; device: string }): true {
    const { ac, vsi, tap, mtu } = connection.hold!;
    this.parts.log.line("info", "attach.taken", { ac, vsi, device, pid, uid });
    this.carrier(tap, true);
    this.parts.kick();
    this.say(connection, { attached: { gateway: this.parts.gateway, vsi, mtu } });
    return true;
  }

  /** Is a living connection on the AC? One that died unnoticed lets go here. */
  private isHeld(ac: string): boolean {
    const holder = this.holders.get(ac);
    if (holder !== undefined) this.read(holder);
    return this.holders.has(ac);
  }

  private lookAfterTaps(): void {
    for (const connection of [...this.holders.values()]) {
      const { ac, tap } = connection.hold!;
      if (!isTapThere(tap)) this.refuse(connection, "no_tap", `the device on AC ${ac} is gone`, "attach again");
    }
  }

  private carrier(tap: number, carrier: boolean): void {
    try {
      setTap(tap, { carrier });
    } catch (error) {
      if (!(error instanceof IoError)) throw error;
      // The device went in this very moment; lookAfterTaps says so.
    }
  }

  private say(connection: Connection, answer: Answer): void {
    // A client that does not read its few lines is none: its socket buffer is full.
    if (sendFd(connection.fd, -1, lineOf(answer)) < 0) this.drop(connection);
  }

  private refuse(connection: Connection, code: RefusalCode, message: string, hint: string): void {
    if (!this.connections.has(connection)) return;
    this.parts.log.line("warn", "attach.refused", { reason: message, code });
    sendFd(connection.fd, -1, lineOf({ refused: { code, message, hint } }));
    this.drop(connection);
  }

  /** Close a connection; the AC it held goes down. */
  private drop(connection: Connection): void {
    if (!this.connections.delete(connection)) return;
    this.pending.delete(connection);
    clearTimeout(connection.late);
    connection.unwatch();
    connection.socket.destroy();
    const hold = connection.hold;
    if (hold === null) return;
    connection.hold = null;
    this.holders.delete(hold.ac);
    this.carrier(hold.tap, false);
    this.parts.topology.takeBack(hold.ac);
    this.parts.kick();
  }
}
