/**
 * A peer gateway has another MAC: what is known behind it follows within two seconds.
 *
 * Where the peer has our own address, all hosts behind it are reached at its MAC, so their entries are re-pointed at once
 * and then asked, each within a random second, whether that is right. Where a stranger sees it (a Border), the address that
 * changed its MAC may be a router's that took it over from another one, which is still there: the entries with the old MAC
 * are asked at the new one, and move when an answer comes.
 *
 * A peer that we did not know, or that is another machine now, does not know us either: it hears our addresses, and a
 * replaced one which hosts are behind us, for its own hosts still have a MAC that is no more (announcer.ts).
 */
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import type { Emit } from "../event.ts";
import { isGiven, type Neighbor } from "../neighbor/entry.ts";
import { isKnown } from "../neighbor/nud.ts";
import type { Neighbors } from "../neighbor/table.ts";
import type { Timers } from "../timers.ts";
import type { Announcer } from "./announcer.ts";
import type { PeerNews } from "./peer-gateway.ts";
import type { MessageSender } from "./sender.ts";

const TURN_MS = 50;
/** 500 questions a second: a peer's policer admits ten times as many. */
export const ASKED_PER_TURN = 25;
/** An entry that did not answer there is not asked there again for so long. */
const ASK_AGAIN_MS = 10_000;
const WAITING = 16_384;

export class PeerChange {
  private readonly timers: Timers;
  private readonly sender: MessageSender;
  private readonly neighbors: Neighbors;
  private readonly announcer: Announcer;
  private readonly emit: Emit;
  /** Whom to ask at which MAC. */
  private readonly waiting = new Map<Neighbor, Mac>();
  private readonly asked = new WeakMap<Neighbor, { readonly mac: Mac; readonly atMs: number }>();
  private isRunning = false;

  constructor(timers: Timers, sender: MessageSender, neighbors: Neighbors, announcer: Announcer, emit: Emit) {
    this.timers = timers;
    this.sender = sender;
    this.neighbors = neighbors;
    this.announcer = announcer;
    this.emit = emit;
  }

  follow({ iface, vsi, tunnel, mac, was, isPeer }: PeerNews): void {
    if (isPeer || was !== null) this.announcer.answerPeer(vsi, tunnel);
    if (was === null) return;
    const entries = this.neighbors
      .placedOn(iface)
      .filter((entry) => this.sender.speaker.speaksOf(entry.ip))
      .filter((entry) => !isGiven(entry) && isAt(entry.place, { mac: was, port: tunnel, vsi }));
    for (const entry of entries) {
      if (isPeer || !isKnown(entry.state)) this.neighbors.repoint(entry, mac);
      else this.wait(entry, mac);
    }
    if (isPeer) this.announcer.tellPeer(vsi, tunnel);
    if (!isPeer && entries.length === 0) return;
    const macs = { mac: formatMac(mac), was: formatMac(was) };
    this.emit("info", "gateway.mac", { vsi: vsi.name, tunnel: tunnel.name, ...macs, entries: entries.length });
  }

  private wait(entry: Neighbor, mac: Mac): void {
    const asked = this.asked.get(entry);
    if (asked?.mac === mac && this.timers.nowMs - asked.atMs < ASK_AGAIN_MS) return;
    if (this.waiting.size >= WAITING) return;
    this.waiting.set(entry, mac);
    if (this.isRunning) return;
    this.isRunning = true;
    this.timers.after(0, () => this.turn());
  }

  private turn(): void {
    let left = ASKED_PER_TURN;
    for (const [entry, mac] of this.waiting) {
      if (left-- === 0) break;
      this.waiting.delete(entry);
      this.ask(entry, mac);
    }
    this.isRunning = this.waiting.size > 0;
    if (this.isRunning) this.timers.after(TURN_MS, () => this.turn());
  }

  private ask(entry: Neighbor, mac: Mac): void {
    const { iface, ip, place } = entry;
    if (this.neighbors.find(iface, ip) !== entry || !isKnown(entry.state) || place === null || place.mac === mac)
      return;
    this.asked.set(entry, { mac, atMs: this.timers.nowMs });
    this.sender.ask(iface, place.vsi, place.port, mac, ip);
  }
}

function isAt(place: Neighbor["place"], { mac, port, vsi }: NonNullable<Neighbor["place"]>): boolean {
  return place !== null && place.mac === mac && place.port === port && place.vsi === vsi;
}
