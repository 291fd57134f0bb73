/**
 * Numbers of BGP that an administrator gives away, "ADMIN:NUMBER": route distinguishers (RFC 4364 §4.2) and route targets
 * (RFC 4360 §4, RFC 5668).
 *
 * Both have six bytes. An AS number of two leaves four to the number behind it; one of four, and an address, leave two. gobgpd cuts
 * what does not fit and says nothing, and the route that comes of it is not the one that was meant. Texts become canonical, since
 * routes are compared by theirs.
 */
import { parseIpv4 } from "../wire/ipv4.ts";
import type { Read } from "./address.ts";
import { read } from "./field.ts";

const FORM = /^(auto|\d{1,10}:\d{1,10}|\d{1,3}(\.\d{1,3}){3}:\d{1,5})$/;

function readAdministered(text: string, kind: string, fix: string): Read<string> {
  if (text === "auto") return { value: text };
  const [admin, number] = text.split(":") as [string, string];
  const isAddress = admin.includes(".");
  const isRead = FORM.test(text) && (isAddress ? parseIpv4(admin) !== null : Number(admin) <= 0xffffffff);
  if (!isRead) return { wrong: `"${text}" is no ${kind}`, fix };
  const most = isAddress || Number(admin) > 0xffff ? 0xffff : 0xffffffff;
  if (Number(number) > most)
    return { wrong: `the number of ${text} is above ${most}`, fix: `behind ${admin} write at most ${most}` };
  return { value: `${isAddress ? admin : Number(admin)}:${Number(number)}` };
}

const administered = (kind: string, fix: string) =>
  read((text) => readAdministered(text, kind, fix)).meta({ pattern: FORM.source });

export const target = () => administered("route target", "write auto, AS:NUMBER or ADDRESS:NUMBER, such as 65000:10");
export const distinguisher = () =>
  administered("route distinguisher", "write auto, or ADDRESS:NUMBER with the router id, such as 192.0.2.1:10");
