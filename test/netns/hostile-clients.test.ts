/**
 * The control socket under attack while a canary pings through the gateway: a thousand connections, slow ones, oversized
 * bodies, broken requests, and big lists asked for again and again. The canary loses nothing.
 */
import { createConnection, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pause } from "../../src/lab/deadline.ts";
import { type Article, addressOf, openArticle } from "./article-bed.ts";
import { whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

const missing = whyNoGateways();
if (missing) console.log(`hostile-clients.test.ts skipped: ${missing}`);

const HEAD = "POST /v1/config/check HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
const ATTACKS: readonly string[] = [
  "",
  "GET",
  "\0\0\0\0",
  "GET /v1/status HTTP/1.1\r\n",
  `GET /${"x".repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
  `${HEAD}content-length: 60000\r\n\r\n{`,
  `${HEAD}content-length: 99999999\r\n\r\n${"x".repeat(100_000)}`,
  `${HEAD}content-length: 3\r\n\r\n{}\u00ff`,
  `${HEAD}transfer-encoding: chunked\r\n\r\nffffffff\r\n`,
  "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50),
];

describe.skipIf(missing !== undefined)("hostile API clients", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("hostile");
    await ping(article.bed, "vm1", addressOf("vm4"));
  });
  afterAll(() => article?.gateways.remove());

  test("do not disturb forwarding", { timeout: 60_000 }, async () => {
    const { bed, gw1 } = article;
    const canary = bed.run("vm1", "ping", ["-n", "-q", "-i", "0.02", "-c", "300", "-W", "2", addressOf("vm4")], 40_000);
    const sockets = new Set<Socket>();
    let opened = 0;
    const open = (bytes: string) => {
      const socket = createConnection(gw1.socket, () => socket.write(bytes, "latin1"));
      sockets.add(socket);
      opened++;
      socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
      socket.resume();
    };
    for (let i = 0; i < 1000; i++) open(ATTACKS[i % ATTACKS.length]!);
    let isOver = false;
    const done = canary.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      for (let i = 0; i < 20; i++) open(ATTACKS[opened % ATTACKS.length]!);
      await pause(50);
      for (const socket of [...sockets].slice(0, Math.max(0, sockets.size - 1000))) socket.destroy();
    }
    const { stdout } = await done;
    for (const socket of sockets) socket.destroy();
    expect(stdout).toMatch(/300 packets transmitted, 300 received, 0% packet loss/);
    expect(opened).toBeGreaterThan(1000);
    await expect.poll(() => gw1.status().then(({ ready }) => ready), { timeout: 10_000 }).toBe(true);
  });
});
