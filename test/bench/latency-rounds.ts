/** Round trips: idle, beside bulk TCP of each congestion control and number of streams, and how many requests a second. */
import { type Figures, note } from "./figures.ts";
import { congestionControls, OTHER_MACHINE, OWN_GATEWAY, ping, requests, tcp } from "./loads.ts";
import type { Options } from "./options.ts";
import { OTHER, OURS, type Peer } from "./peer.ts";
import { eachPeer, type Ground } from "./rounds.ts";
import { say } from "./screen.ts";
import { threadTimes } from "./usage.ts";

export const REQUESTS = "requests a second (TCP_RR), one connection, both ends pinned";
export const loadedMetric = (control: string, streams: number, what: string) =>
  `RTT under TCP load, ${control}, ${streams} ${streams === 1 ? "stream" : "streams"}, ${what}, µs`;

async function echo(peer: Peer, when: string, target: string, seconds: number, figures: Figures): Promise<string> {
  const result = await ping(peer, target, seconds);
  for (const [what, value] of Object.entries({ p50: result.p50, p99: result.p99, "p99.9": result.p999 }))
    note(figures, `${when}, ${what}, µs`, peer.name, value);
  note(figures, `${when}, answers lost`, peer.name, result.lost);
  return `${peer.name} ${result.p50.toFixed(0)}/${result.p99.toFixed(0)}/${result.p999.toFixed(0)}`;
}

export async function roundTrips(options: Options, { peers, missing }: Ground, figures: Figures): Promise<void> {
  const seconds = options.seconds * 2;
  const controls = congestionControls();
  for (let round = 0; round < options.rounds; round++) {
    const idle: string[] = [];
    await eachPeer(peers, round, async (peer) => {
      // What has not been used for a while is not compiled, or not in a cache.
      await tcp(peer, 1, false, 1);
      idle.push(await echo(peer, "RTT idle", OTHER_MACHINE, seconds, figures));
      // The gateway's own address is a punt, an answer of control, and an inject.
      if (peer.name === OURS || peer.name === OTHER)
        await echo(peer, "RTT to the own gateway (punt and inject)", OWN_GATEWAY, seconds, figures);
    });
    say(`round ${round + 1}: RTT p50/p99/p99.9 µs, idle: ${idle.join(", ")}`);
    for (const control of options.isQuick ? controls.slice(0, 1) : controls) {
      for (const streams of [1, 4]) {
        const words: string[] = [];
        await eachPeer(peers, round, async (peer) => {
          try {
            words.push(await loaded(peer, control, streams, seconds, figures));
          } catch (error) {
            missing.push(`RTT under TCP load, ${control}, ${streams}, ${peer.name}: ${(error as Error).message}`);
          }
        });
        say(`round ${round + 1}: RTT under ${streams} × ${control}: ${words.join(", ")}`);
      }
    }
  }
}

async function loaded(peer: Peer, control: string, streams: number, seconds: number, figures: Figures) {
  const when = loadedMetric(control, streams, "").slice(0, -", , µs".length);
  const before = threadTimes(peer.daemons);
  const load = tcp(peer, streams, false, seconds + 1, control);
  // The one that awaits it later must not be too late to hear of a failure.
  load.catch(() => undefined);
  const said = await echo(peer, when, OTHER_MACHINE, seconds, figures);
  note(figures, `${when}, Gbit/s beside it`, peer.name, (await load).gigabitsPerSecond);
  if (peer.daemons.length > 0) {
    const delay = (threadTimes(peer.daemons).delay - before.delay) / (seconds + 1) / peer.daemons.length;
    note(figures, `${when}, run delay of a gateway, s per s`, peer.name, delay);
  }
  return said;
}

export async function requestRounds(options: Options, { peers, missing }: Ground, figures: Figures): Promise<void> {
  for (let round = 0; round < options.rounds; round++) {
    const words: string[] = [];
    await eachPeer(peers, round, async (peer) => {
      try {
        await requests(peer, 0.2);
        const rate = await requests(peer, options.seconds);
        note(figures, REQUESTS, peer.name, rate);
        words.push(`${peer.name} ${rate.toFixed(0)}`);
      } catch (error) {
        missing.push(`${REQUESTS}, ${peer.name}: ${(error as Error).message}`);
      }
    });
    say(`round ${round + 1}: requests a second: ${words.join(", ")}`);
  }
}
