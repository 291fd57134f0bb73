/**
 * The gate of `vtepctl web`: each request that must be refused, sent to the real server as bytes; and what is never there.
 */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveWeb, type Web } from "../../src/web/serve.ts";
import { answersOf, FakeGateway } from "./fake-gateway.ts";

const TOKEN = "fixed-for-the-test";
const AUTH = `Authorization: Bearer ${TOKEN}`;
let gateway: FakeGateway;
let web: Web;
let host: string;

beforeAll(async () => {
  gateway = await new FakeGateway("gw1", answersOf("gw1", "192.0.2.1", [])).start();
  web = await serveWeb({
    sockets: () => [gateway.socket],
    listen: { host: "127.0.0.1", port: 0 },
    publicHost: "lab.example:9999",
    token: TOKEN,
    version: "0",
  });
  host = `127.0.0.1:${web.port}`;
});
afterAll(async () => {
  await web.close();
  gateway.stop();
});

/** Send a request, line by line, and read the answer to its end. */
function send(lines: readonly string[], body = ""): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(web.port, "127.0.0.1");
    let text = "";
    const settle = () => resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text });
    socket.on("data", (part) => {
      text += part.toString();
      if (/\r\n\r\n/.test(text) && !/^HTTP\/1\.1 100/.test(text)) setTimeout(() => socket.destroy(), 50);
    });
    socket.on("error", reject);
    socket.on("close", settle);
    socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  });
}

const PACKET = JSON.stringify({ ac: "vm1", protocol: "icmp", source: "10.1.1.11", destination: "20.1.1.12" });
const posted = (body: string, ...more: string[]) => [
  "POST /api/trace HTTP/1.1",
  `Host: ${host}`,
  AUTH,
  ...(more.length > 0 ? more : ["Content-Type: application/json"]),
  `Content-Length: ${Buffer.byteLength(body)}`,
];
const got = (path: string, ...more: string[]) => [`GET ${path} HTTP/1.1`, `Host: ${host}`, AUTH, ...more];
const bodyWith = (more: object) => JSON.stringify({ ...JSON.parse(PACKET), ...more });

type Case = readonly [what: string, status: number, lines: () => readonly string[], body?: string];

const REFUSED: readonly Case[] = [
  // A name that was made to point here (DNS rebinding).
  ["another host name", 421, () => ["GET / HTTP/1.1", "Host: evil.example"]],
  ["our address with another port", 421, () => ["GET / HTTP/1.1", "Host: 127.0.0.1:1"]],
  ["our address without its port", 421, () => ["GET / HTTP/1.1", "Host: 127.0.0.1"]],
  ["another address of this machine", 421, () => ["GET / HTTP/1.1", `Host: 127.0.0.2:${web.port}`]],
  ["a host that begins like ours", 421, () => ["GET / HTTP/1.1", `Host: ${host}.evil.example`]],
  ["a host that ends like ours", 421, () => ["GET / HTTP/1.1", `Host: evil.example@${host}`]],
  ["the name with a dot", 421, () => ["GET / HTTP/1.1", `Host: localhost.:${web.port}`]],
  ["the public name without its port", 421, () => ["GET / HTTP/1.1", "Host: lab.example"]],
  ["no host", 400, () => ["GET / HTTP/1.1"]],
  ["no host, in HTTP/1.0", 421, () => ["GET / HTTP/1.0"]],
  ["two hosts", 421, () => ["GET / HTTP/1.1", `Host: ${host}`, "Host: evil.example"]],
  ["an absolute address of another site", 404, () => ["GET http://evil.example/ HTTP/1.1", `Host: ${host}`]],
  // Another site's page in the same browser.
  ["a foreign origin", 403, () => got("/api/fabric", "Origin: http://evil.example")],
  ["our origin in https", 403, () => got("/api/fabric", `Origin: https://${host}`)],
  ["our origin with another port", 403, () => got("/api/fabric", "Origin: http://127.0.0.1:1")],
  ["an origin of null", 403, () => got("/api/fabric", "Origin: null")],
  ["a cross-site fetch", 403, () => got("/api/fabric", "Sec-Fetch-Site: cross-site")],
  ["a same-site fetch, from another port", 403, () => got("/api/fabric", "Sec-Fetch-Site: same-site")],
  [
    "a cross-site load of the script",
    403,
    () => ["GET /page.js HTTP/1.1", `Host: ${host}`, "Sec-Fetch-Site: cross-site"],
  ],
  // Another user of the machine.
  ["no token", 401, () => ["GET /api/fabric HTTP/1.1", `Host: ${host}`]],
  ["a wrong token", 401, () => ["GET /api/fabric HTTP/1.1", `Host: ${host}`, "Authorization: Bearer wrong"]],
  ["half the token", 401, () => ["GET /api/fabric HTTP/1.1", `Host: ${host}`, AUTH.slice(0, -3)]],
  ["the token and more", 401, () => ["GET /api/fabric HTTP/1.1", `Host: ${host}`, `${AUTH}x`]],
  [
    "the token as a password",
    401,
    () => ["GET /api/fabric HTTP/1.1", `Host: ${host}`, `Authorization: Basic ${TOKEN}`],
  ],
  ["the token in the address", 401, () => [`GET /api/fabric?t=${TOKEN} HTTP/1.1`, `Host: ${host}`]],
  ["the token in a cookie", 401, () => ["GET /api/fabric HTTP/1.1", `Host: ${host}`, `Cookie: t=${TOKEN}`]],
  // Writing, and what is not there.
  ["DELETE", 405, () => ["DELETE /api/tables HTTP/1.1", `Host: ${host}`, AUTH]],
  ["PUT", 405, () => ["PUT /api/fabric HTTP/1.1", `Host: ${host}`, AUTH, "Content-Length: 0"]],
  ["OPTIONS, a preflight", 405, () => ["OPTIONS /api/trace HTTP/1.1", `Host: ${host}`, AUTH]],
  ["HEAD", 405, () => ["HEAD /api/fabric HTTP/1.1", `Host: ${host}`, AUTH]],
  ["a read by POST", 405, () => ["POST /api/fabric HTTP/1.1", `Host: ${host}`, AUTH, "Content-Length: 0"]],
  ["the gateway's own API", 404, () => got("/v1/status")],
  ["a reload", 404, () => ["POST /v1/reload HTTP/1.1", `Host: ${host}`, AUTH, "Content-Length: 0"]],
  ["a way out of the folder", 404, () => got("/../../package.json")],
  ["a way out, encoded", 404, () => got("/%2e%2e/package.json")],
  ["a doubled slash", 404, () => got("//api/fabric")],
  ["a name of every object", 404, () => got("/constructor")],
  ["an address without end", 414, () => got(`/?${"x".repeat(600)}`)],
  ["a walk, where there is no lab", 403, () => ["POST /api/walk HTTP/1.1", `Host: ${host}`, AUTH, "Content-Length: 0"]],
  // What a body may be.
  ["a form's body", 415, () => posted(PACKET, "Content-Type: text/plain"), PACKET],
  ["JSON that a form can send", 415, () => posted(PACKET, "Content-Type: application/x-www-form-urlencoded"), PACKET],
  ["a body without its length", 411, () => [...posted("").slice(0, 4), "Transfer-Encoding: chunked"], "0\r\n\r\n"],
  ["a body that is too long", 413, () => posted("x".repeat(5000)), "x".repeat(5000)],
  ["a GET with a body", 400, () => got("/api/fabric", "Content-Length: 2"), "{}"],
  ["a body that is no JSON", 400, () => posted("{"), "{"],
  ["an injection", 400, () => posted(bodyWith({ inject: true })), bodyWith({ inject: true })],
  ["bytes to send", 400, () => posted(bodyWith({ hex: "ff".repeat(14) })), bodyWith({ hex: "ff".repeat(14) })],
  ["an arrival by tunnel", 400, () => posted(bodyWith({ tunnel: "gw2" })), bodyWith({ tunnel: "gw2" })],
  ["a name that is too long", 400, () => posted(bodyWith({ ac: "x".repeat(65) })), bodyWith({ ac: "x".repeat(65) })],
  ["a query that is not known", 400, () => got("/api/history?node=gw1&kind=ac&name=a&x=1")],
];

describe("requests that are refused", () => {
  it("is a table of at least thirty", () => {
    expect(REFUSED.length).toBeGreaterThanOrEqual(30);
  });

  it.each(REFUSED.map(([what, status, lines, body]) => ({ what, status, lines, body })))(
    "$what: $status",
    async ({ status, lines, body }) => {
      gateway.asked.length = 0;
      const answer = await send(lines(), body);
      expect(answer.status).toBe(status);
      // Nothing was asked of the gateway, and nothing of it was told.
      expect(gateway.asked).toEqual([]);
      expect(answer.text).not.toContain("192.0.2.1");
      expect(answer.text.toLowerCase()).not.toContain("access-control-allow");
    },
  );
});

describe("requests that are answered", () => {
  it.each([
    ["by address", () => `Host: ${host}`],
    ["by name", () => `Host: LOCALHOST:${web.port}`],
    ["by IPv6", () => `Host: [::1]:${web.port}`],
    ["by the public name", () => "Host: lab.example:9999"],
  ])("the page, %s, without a token, for it holds no data", async (_, line) => {
    const { status, text } = await send(["GET / HTTP/1.1", line()]);
    expect(status).toBe(200);
    expect(text).toContain("default-src 'none'");
    expect(text).toContain("require-trusted-types-for 'script'");
    for (const header of ["nosniff", "no-referrer", "no-store", "cross-origin-resource-policy: same-origin"])
      expect(text).toContain(header);
    expect(text.toLowerCase()).not.toContain("set-cookie");
  });

  it("data, with the token, from our own page", async () => {
    const origin = [`Origin: http://${host}`, "Sec-Fetch-Site: same-origin"];
    const { status, text } = await send(got("/api/fabric", ...origin));
    expect(status).toBe(200);
    expect(text).toContain('"node":"gw1"');
  });

  it("a trace, rebuilt: no field of the page's passes as it is", async () => {
    gateway.asked.length = 0;
    const fate = { kind: "sent", reason: null, class: null, text: "", next: null };
    gateway.answers["POST /v1/trace"] = { packet: "p", steps: [], fate, sends: [], injected: false };
    expect((await send(posted(PACKET), PACKET)).status).toBe(200);
    const [asked] = gateway.asked.filter(({ method }) => method === "POST");
    expect(JSON.parse(asked!.body)).toEqual(JSON.parse(PACKET));
    expect(asked!.headers.authorization).toBeUndefined();
    expect(gateway.asked.filter(({ method }) => method !== "GET").map(({ path }) => path)).toEqual(["/v1/trace"]);
  });
});

it("nothing is asked of a gateway while no page asks", async () => {
  gateway.asked.length = 0;
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(gateway.asked).toEqual([]);
});
