/**
 * The kernel's ICMP datagram socket (icmp(7)), for the prober: echoes without a capability.
 *
 * IP header, checksum and identifier are the kernel's; Don't Fragment and the traffic class are those of the raw socket. Two
 * things are less than there: the kernel keeps what routers say of VXLAN datagrams to itself, so a narrow path is met by
 * the first long datagram that our own kernel refuses; and the kernel numbers the socket, so `identifier` is its choice.
 */
import { readFileSync } from "node:fs";
import { errnoText, IoError } from "../io/addon.ts";
import { type EchoPort, openEcho } from "../io/echo.ts";
import { headerBytes } from "../wire/ipv4.ts";
import { type EchoSocket, type EchoSocketRequest, EchoUnavailable } from "./echo-socket.ts";

const IPV6_BYTES = 40;
const EMSGSIZE = -90;
const EACCES = -13;
const RANGE = "/proc/sys/net/ipv4/ping_group_range";

/** Open the socket. Throws EchoUnavailable. */
export function openDatagramEcho({ family, source, onNews }: Omit<EchoSocketRequest, "onFailure">): EchoSocket {
  let port: EchoPort;
  try {
    port = openEcho(source, (answers) => {
      for (const answer of answers) {
        const { sequence } = answer;
        const { identifier } = port;
        if (answer.kind === "reply") onNews({ kind: "reply", identifier, sequence }, answer.source);
        else onNews({ kind: "probeTooBig", identifier, sequence, mtu: answer.mtu }, "");
      }
    });
  } catch (error) {
    if (!(error instanceof IoError)) throw error;
    throw unavailable(error);
  }
  let isClosed = false;
  return {
    kind: "datagram",
    identifier: port.identifier,
    close() {
      if (!isClosed) port.close();
      isClosed = true;
    },
    send(packet, target, done) {
      const icmp = packet.subarray(family === 4 ? headerBytes(packet, 0) : IPV6_BYTES);
      const errno = isClosed ? -1 : port.send(target, icmp);
      queueMicrotask(() => done(errno === 0 ? null : errno === EMSGSIZE ? "tooBig" : "failed"));
    },
  };
}

function unavailable({ errno, message }: IoError): EchoUnavailable {
  if (errno !== EACCES) return new EchoUnavailable(message, "see the message");
  const group = process.getegid!();
  const range = readFileSync(RANGE, "utf8").trim().replace(/\s+/, " to ");
  return new EchoUnavailable(
    `an ICMP datagram socket: ${errnoText(errno)}, group ${group} is not among ${range} of net.ipv4.ping_group_range`,
    `sysctl -w net.ipv4.ping_group_range="${group} ${group}"`,
  );
}
