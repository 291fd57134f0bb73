/** ICMP echoes without a capability: the kernel's ICMP datagram socket. Calls of the main thread. */
import { addon, fail } from "./addon.ts";

/** What came: a reply, or a router's word that an echo was too long. */
export type EchoAnswer =
  | { readonly kind: "reply"; readonly sequence: number; readonly source: string }
  | { readonly kind: "tooBig"; readonly sequence: number; readonly mtu: number };

export interface EchoPort {
  /** The kernel writes it into every echo: 0..65535. */
  readonly identifier: number;
  /** Send an ICMP or ICMPv6 echo request, from its type on. @returns 0, or a negative errno. */
  send(target: string, icmp: Uint8Array): number;
  /** No answer comes any more; once. */
  close(): void;
}

const FIXES: Record<string, string> = {
  EADDRNOTAVAIL: "no interface has this address: add it, or change underlay.address",
};

/** Open from a local address; `onAnswers` is called from the event loop. Throws IoError. */
export function openEcho(address: string, onAnswers: (answers: EchoAnswer[]) => void): EchoPort {
  const subject = `an ICMP datagram socket of ${address}`;
  const [fd, more] = addon().openEcho(address);
  if (fd < 0) fail(subject, fd, String(more), FIXES);
  const stop = addon().watchReadable(fd, () => onAnswers(readAnswers(fd)), true);
  if (typeof stop === "number") {
    addon().closeFd(fd);
    fail(subject, stop, "watch it", {});
  }
  return {
    identifier: Number(more),
    send: (target, icmp) => addon().sendEcho(fd, target, icmp),
    close() {
      stop();
      addon().closeFd(fd);
    },
  };
}

/** The addon's flat list: sequence, MTU or -1, source. */
function readAnswers(fd: number): EchoAnswer[] {
  const words = addon().receiveEchoes(fd);
  const answers: EchoAnswer[] = [];
  for (let at = 0; at < words.length; at += 3) {
    const [sequence, mtu, source] = words.slice(at, at + 3) as [number, number, string];
    answers.push(mtu < 0 ? { kind: "reply", sequence, source } : { kind: "tooBig", sequence, mtu });
  }
  return answers;
}
