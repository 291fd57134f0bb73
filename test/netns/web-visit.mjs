/**
 * A browser's questions to a `vtepctl web` that a shell's command line starts: its gateways, and the first walk where there is one.
 * Then Ctrl-C. It runs as the user whom ordinary-user.test.ts makes, outside of the lab's network.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const LATE_MS = 100_000;
const server = spawn("sh", ["-c", process.argv[2]], { stdio: ["ignore", "pipe", "inherit"], detached: true });
setTimeout(() => process.kill(-server.pid, "SIGKILL"), LATE_MS).unref();

async function visit(address, token) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const get = async (path) => await (await fetch(`${address}api/${path}`, { headers })).json();
  console.log((await get("fabric")).gateways.map(({ node }) => node).join(" "));
  const { scenarios } = await get("session");
  if (scenarios.length === 0) return;
  const body = JSON.stringify({ scenario: scenarios[0].number });
  const text = await (await fetch(`${address}api/walk`, { method: "POST", headers, body })).text();
  const { walk } = JSON.parse(text.trim().split("\n").at(-1));
  console.log(`arrived: ${walk.arrived}; all hold: ${walk.steps.every(({ holds }) => holds)}`);
}

for await (const line of createInterface({ input: server.stdout })) {
  const [, address, token] = /(http:\/\/\S+\/)#t=([\w-]+)/.exec(line) ?? [];
  if (address !== undefined) await visit(address, token).finally(() => process.kill(-server.pid, "SIGINT"));
}
