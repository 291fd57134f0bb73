/** Which socket the prober asks by: the raw one where it may be had, else the kernel's datagram socket. */
import { openDatagramEcho } from "./datagram-echo.ts";
import { type EchoSocket, type EchoSocketRequest, EchoUnavailable } from "./echo-socket.ts";
import { openRawEcho } from "./raw-echo.ts";

type Open = (request: EchoSocketRequest) => EchoSocket;

/** Throws EchoUnavailable, with what would bring either. */
export function openEchoSocket(
  request: EchoSocketRequest,
  raw: Open = openRawEcho,
  datagram: Open = openDatagramEcho,
): EchoSocket {
  try {
    return raw(request);
  } catch (first) {
    if (!(first instanceof EchoUnavailable)) throw first;
    try {
      return datagram(request);
    } catch (second) {
      if (!(second instanceof EchoUnavailable)) throw second;
      throw new EchoUnavailable(`${first.message}; ${second.message}`, `${first.fix}; or ${second.fix}`);
    }
  }
}
