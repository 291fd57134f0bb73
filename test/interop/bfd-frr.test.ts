/**
 * BFD with FRR's bfdd: over IPv4 and IPv6, one hop (RFC 5881) and multihop behind a router (RFC 5883).
 *
 *     gw --- ul0 --- frr            one hop: VTEP address to FRR's
 *     gw --- up ---- router --- frr multihop: to FRR's address behind the router; the answer takes the short way back
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Tunnel } from "../../src/api/schema.ts";
import type { Bfd, BfdSession } from "../../src/api/schema-bfd.ts";
import { pause, until } from "../../src/lab/deadline.ts";
import { type Gateway, type Gateways, openGateways, whyNoGateways } from "../netns/gateways.ts";
import { type Frr, startFrr, whyNoBfdd } from "./frr.ts";

const missing = whyNoGateways("ethtool") ?? whyNoBfdd();
if (missing) console.log(`bfd-frr.test.ts skipped: ${missing}`);

/** Each session comes up within three slow packets of either side, on a machine that does something else meanwhile. */
const UP_MS = 15_000;
/** `VTEPD_LONG=1`: as the design promises it. Otherwise with room for a machine whose FRR is late itself. */
const [MULTIPLIER, STAY_MS] = process.env.VTEPD_LONG === undefined ? [5, 6000] : [3, 60_000];

interface FrrPeer {
  readonly peer: string;
  readonly status: string;
  readonly diagnostic: string;
  readonly "remote-diagnostic": string;
  readonly "remote-transmit-interval": number;
  readonly "remote-receive-interval": number;
  readonly "remote-detect-multiplier": number;
}

const NETS = {
  4: {
    gw: "192.0.2.1",
    near: "192.0.2.9",
    far: "203.0.113.9",
    up: "198.51.100.1",
    via: "198.51.100.254",
    hub: "203.0.113.254",
  },
  6: {
    gw: "2001:db8::1",
    near: "2001:db8::9",
    far: "2001:db8:f::9",
    up: "2001:db8:a::1",
    via: "2001:db8:a::fe",
    hub: "2001:db8:f::fe",
  },
} as const;

const pacing = (prefix: string) =>
  [`receive-interval 50`, `transmit-interval 50`, `detect-multiplier ${MULTIPLIER}`, `no shutdown`].map(
    (line) => `${prefix}${line}`,
  );

describe.skipIf(missing !== undefined).each([4, 6] as const)("FRR's bfdd over IPv%d", (family) => {
  const net = NETS[family];
  let gateways: Gateways;
  let gateway: Gateway;
  let frr: Frr;

  const session = async (name: string): Promise<BfdSession> =>
    (await gateway.look<Bfd>("/v1/bfd")).sessions.find(({ tunnel }) => tunnel === name)!;
  const tunnel = async (name: string): Promise<Tunnel> =>
    (await gateway.look<Tunnel[]>("/v1/tunnels")).find((each) => each.name === name)!;
  const peers = () => frr.json<FrrPeer[]>("show bfd peers");
  const bothUp = async () => {
    for (const name of ["near", "far"]) {
      await until(`${name} up here`, UP_MS, async () => (await session(name)).state === "up");
      await until(`${name} up there`, UP_MS, async () => (await peers()).every(({ status }) => status === "up"));
    }
  };

  beforeAll(async () => {
    gateways = await openGateways(`bfd${family}`);
    const { bed } = gateways;
    for (const name of ["gw", "router", "frr"]) {
      await bed.namespace(name);
      if (family === 6)
        await bed.must(name, "sysctl", [
          "-qw",
          ...["all", "default"].flatMap((each) => [
            `net.ipv6.conf.${each}.disable_ipv6=0`,
            `net.ipv6.conf.${each}.accept_dad=0`,
          ]),
        ]);
    }
    await bed.veth("gw", "ul0", "frr", "to-gw");
    await bed.veth("gw", "up", "router", "to-gw");
    await bed.veth("router", "to-frr", "frr", "to-router");
    const length = family === 4 ? 24 : 64;
    const flags = family === 6 ? " nodad" : "";
    await bed.ip("gw", `addr add ${net.gw}/${length} dev ul0${flags}`, `addr add ${net.up}/${length} dev up${flags}`);
    await bed.ip("gw", `route add ${net.far}/${family === 4 ? 32 : 128} via ${net.via} src ${net.gw}`);
    await bed.ip(
      "router",
      `addr add ${net.via}/${length} dev to-gw${flags}`,
      `addr add ${net.hub}/${length} dev to-frr${flags}`,
    );
    await bed.ip(
      "frr",
      `addr add ${net.near}/${length} dev to-gw${flags}`,
      `addr add ${net.far}/${length} dev to-router${flags}`,
    );
    const forward = family === 4 ? ["net.ipv4.ip_forward=1"] : ["net.ipv6.conf.all.forwarding=1"];
    await bed.must("router", "sysctl", ["-qw", ...forward]);
    gateway = await gateways.start("gw", {
      underlay: { address: net.gw },
      bfd: { intervalMs: 50, multiplier: MULTIPLIER },
      tunnels: [
        { name: "near", remote: net.near },
        { name: "far", remote: net.far, bfd: { mode: "multihop" } },
      ],
      vsis: [{ name: "vsi10", vni: 10 }],
    });
    frr = await startFrr(
      bed,
      "frr",
      [
        "bfd",
        ` peer ${net.gw} local-address ${net.near} interface to-gw`,
        ...pacing("  "),
        " exit",
        ` peer ${net.gw} multihop local-address ${net.far}`,
        ...pacing("  "),
        " exit",
        "exit",
        "",
      ].join("\n"),
      ["zebra", "bfdd"],
    );
  });
  afterAll(async () => {
    await gateways?.remove();
    frr?.remove();
  });

  test("both sessions come up, at the pace that both ends want", async () => {
    await bothUp();
    await until("the poll to be answered", 5000, async () => (await session("near")).detectionMs === 50 * MULTIPLIER);
    for (const name of ["near", "far"]) {
      expect(await session(name)).toMatchObject({ verdict: "up", transmitMs: 50, detectionMs: 50 * MULTIPLIER });
      expect(await tunnel(name)).toMatchObject({ up: true, state: "up", watchedBy: "bfd" });
    }
    for (const each of await peers())
      expect(each).toMatchObject({
        "remote-transmit-interval": 50,
        "remote-receive-interval": 50,
        "remote-detect-multiplier": MULTIPLIER,
      });
  });

  test("they stay: no transition on either side, while both processors are busy", async () => {
    const before = await Promise.all(["near", "far"].map(async (name) => (await session(name)).changes));
    const burn = `const end=Date.now()+${STAY_MS};while(Date.now()<end);`;
    const burners = [1, 2].map(() => gateways.bed.follow("router", process.execPath, ["-e", burn]));
    await pause(STAY_MS);
    for (const each of burners) each.kill("SIGKILL");
    const after = await Promise.all(["near", "far"].map(session));
    console.log(
      after
        .map(
          ({ tunnel: name, longestGapMs, late, received }) =>
            `${name}: ${received} packets, ${late} late, longest gap ${longestGapMs} ms`,
        )
        .join("; "),
    );
    expect(after.map(({ changes }) => changes)).toEqual(before);
    expect((await peers()).map(({ status }) => status)).toEqual(["up", "up"]);
  });

  test("their shutdown is a departure, not a death: no warning, and back when it is over", async () => {
    const peer = `peer ${net.gw} local-address ${net.near} interface to-gw`;
    await frr.ask("configure terminal", "bfd", peer, "shutdown");
    await until("draining", 5000, async () => (await session("near")).verdict === "draining");
    expect(await tunnel("near")).toMatchObject({ up: false, draining: true });
    await gateway.logged(/"level":"info"[^\n]*"event":"tunnel.draining"[^\n]*"near"/);
    expect(await session("far")).toMatchObject({ state: "up" });
    await frr.ask("configure terminal", "bfd", peer, "no shutdown");
    await bothUp();
    await until("the tunnel to be up", 5000, async () => (await tunnel("near")).up);
  });

  test("our drain is a departure too: FRR has it at once, in our own word, and is back when it is over", async () => {
    expect((await gateway.ctl("drain")).status).toBe(0);
    const adminDown = ({ status, "remote-diagnostic": said }: FrrPeer) =>
      status === "down" && /administratively down/i.test(said);
    await until("FRR to know", 5000, async () => (await peers()).every(adminDown));
    expect((await gateway.ctl("undrain")).status).toBe(0);
    await bothUp();
  });

  test("their death: down by the detection time; their return: up", async () => {
    const killedMs = Date.now();
    process.kill(frr.pid("bfdd"), "SIGKILL");
    for (const name of ["near", "far"]) {
      await until(`${name} down`, 5000, async () => (await session(name)).verdict === "down");
      const { lastChange, diagnosis } = await session(name);
      expect(diagnosis).toBe("detectionTimeExpired");
      const afterMs = Date.parse(lastChange!.at) - killedMs;
      console.log(`${name}: kill -9 of bfdd seen after ${afterMs} ms`);
      expect(afterMs).toBeLessThan(1000);
      expect((await tunnel(name)).up).toBe(false);
    }
  });
});
