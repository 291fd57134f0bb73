/** What a browser asks of the page whose address `vtepctl web` has printed into the file that is named: its files, its gateways. */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const [, , printed] = process.argv;
let found = null;
for (let tries = 0; found === null && tries < 100; tries++) {
  await pause(100);
  found = /(http:\S+\/)#t=(\S+)/.exec(readFileSync(printed, "utf8"));
}
if (found === null) throw new Error(`no address: ${readFileSync(printed, "utf8")}`);
const [, address, token] = found;
const html = await (await fetch(address)).text();
for (const [, file] of html.matchAll(/(?:src|href)="\/?([^"]+)"/g)) {
  const answer = await fetch(address + file);
  console.log("page file", file, answer.status, (await answer.text()).length > 100);
}
const headers = { authorization: `Bearer ${token}` };
const { gateways } = await (await fetch(`${address}api/fabric`, { headers })).json();
console.log("page shows", gateways.map(({ node }) => node).join(" "));
