/** What port security says of a MAC or an address: where it is bound, and who was refused it. */
import type { PortSecurity } from "../control/security/port-security.ts";

export function securitySentences(
  { bindings, offenders }: PortSecurity,
  subject: { readonly mac: string } | { readonly ip: string },
  within: { readonly vsis: ReadonlySet<string> } | null = null,
): string[] {
  const isAsked = (one: { readonly vsi: string; readonly mac: string; readonly ip: string | null }) =>
    (within === null || within.vsis.has(one.vsi)) &&
    ("mac" in subject ? one.mac === subject.mac : one.ip === subject.ip);
  const said: string[] = [];
  for (const { ac, mac, ip, source, expiresSeconds, enforced } of bindings.list().filter(isAsked)) {
    const lease = expiresSeconds === null ? "a DHCP lease without end" : `a DHCP lease for ${expiresSeconds} s more`;
    const first = `its own claim, which was the first, for ${expiresSeconds} s more unless its host answers`;
    const how = source === "static" ? "the configuration" : source === "slaac" ? first : lease;
    const force = enforced ? "and nothing else is taken from there (antiSpoof: strict)" : "which is not enforced there";
    said.push(`${ip} is bound to ${mac} at AC ${ac} by ${how}, ${force}.`);
  }
  for (const { ac, mac, ip, why, secondsAgo } of offenders.list().filter(isAsked)) {
    const entry = `{mac: "${mac}", ip: ${ip ?? "ADDRESS"}}`;
    const as = ip === null ? mac : `${ip} from ${mac}`;
    said.push(
      `AC ${ac} sent as ${as}, and that was dropped ${secondsAgo} s ago: ${why}; the missing binding is ${entry}.`,
    );
  }
  return said;
}
