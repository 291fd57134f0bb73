/** What tracks bring to those who ask: whether each is up, what depends on it, and why one is down. */
import type { Feature, Row } from "../api/feature.ts";
import { type Check, fail, ok, warn } from "../api/schema-doctor.ts";
import type { Track } from "../api/schema-tracks.ts";
import { addTracks } from "../api/tracks.ts";
import type { Config, NextHopConfig } from "../control/plan.ts";
import type { TrackView } from "../control/tracks/tracks.ts";
import { NamedUses } from "../control/uses.ts";
import { someNames } from "../wire/some-names.ts";

/** Uses that the doctor names. */
const NAMED = 3;

export function tracked(views: () => readonly TrackView[], config: () => Config): Feature {
  const source = () => tracksOf(views(), config());
  return {
    routes: (app) => addTracks(app, source),
    rows: trackRows(views),
    checks: [() => source().map(checkTrack)],
  };
}

export function tracksOf(views: readonly TrackView[], config: Config): Track[] {
  const uses = usesOf(config);
  return views.map((view) => {
    const { names, count } = uses.get(view.name) ?? new NamedUses();
    return { ...view, uses: names, useCount: count };
  });
}

/** By track, what names it. */
function usesOf({ routes, policies, drain }: Config): Map<string, NamedUses> {
  const uses = new Map<string, NamedUses>();
  const add = (track: string | null, use: string) => {
    if (track === null) return;
    let known = uses.get(track);
    if (known === undefined) uses.set(track, (known = new NamedUses()));
    if (known.more()) known.names.push(use);
  };
  const addHops = (hops: readonly NextHopConfig[], use: string) => {
    for (const track of new Set(hops.map((hop) => hop.track))) add(track, use);
  };
  add(drain.track, "drain");
  for (const { prefix, vrf, target } of routes)
    if ("nextHops" in target) addHops(target.nextHops, `route ${prefix.text}${vrf === "main" ? "" : ` in ${vrf}`}`);
  for (const { name, rules } of policies)
    for (const [index, { action }] of rules.entries())
      if ("nextHops" in action) addHops(action.nextHops, `policy ${name}, rule ${index + 1}`);
  return uses;
}

function trackRows(views: () => readonly TrackView[]): Row[] {
  return [
    {
      kind: "gauge",
      name: "vtep_track_up",
      help: "1 while the track is up, or has not been asked for long enough",
      labels: ["track"],
      *values() {
        for (const { name, state } of views()) yield [{ track: name }, state === "down" ? 0 : 1];
      },
    },
    {
      kind: "counter",
      name: "vtep_track_probes_total",
      help: "Echoes of tracks by what became of them",
      labels: ["track", "result"],
      *values() {
        for (const { name, kind, answered, missed } of views()) {
          if (kind === "ac") continue;
          yield [{ track: name, result: "answered" }, answered];
          yield [{ track: name, result: "missed" }, missed];
        }
      },
    },
    {
      kind: "gauge",
      name: "vtep_track_rtt_seconds",
      help: "Round-trip time of the track's last answer; absent until there is one",
      labels: ["track"],
      *values() {
        for (const { name, rttMs } of views()) if (rttMs !== null) yield [{ track: name }, rttMs / 1000];
      },
    },
  ];
}

export function checkTrack({ name, kind, target, state, blind, seconds, rttMs, uses, useCount }: Track): Check {
  const key = `track ${name}`;
  const of = useCount === 0 ? "nothing depends on it" : `of ${someNames(uses, useCount, NAMED)}`;
  if (blind !== null) {
    const text = `${target} cannot be asked: ${blind}; ${of}`;
    return state === "down"
      ? fail(key, text, "an echo of the underlay needs CAP_NET_RAW or net.ipv4.ping_group_range")
      : warn(key, text, "vtepctl doctor, once more");
  }
  if (state === "down") {
    const fix = kind === "ac" ? "is the VM or device behind it up?" : "is that host up, and the line to it?";
    return warn(key, `${target} is down for ${seconds} s; ${of}`, fix);
  }
  if (state === "starting") return ok(key, `${target} has not been asked for long enough; ${of}`);
  return ok(key, `${target} is up${rttMs === null ? "" : `, ${rttMs} ms away`}; ${of}`);
}
