/** A group's number. */
import { readFileSync } from "node:fs";

/** "vtepd-observe" or "990" as a number, by /etc/group; null: there is no such group. */
export function groupNumber(text: string): number | null {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  for (const line of readFileSync("/etc/group", "utf8").split("\n")) {
    const [name, , gid] = line.split(":");
    if (name === text) return Number(gid);
  }
  return null;
}
