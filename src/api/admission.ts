/**
 * Who may stay: the connections of an HTTP listener, which strangers can open faster than anybody answers.
 *
 * A connection waits (for the head of a request, or for the next one), or it is being answered. When there is no room for a
 * newcomer, the connection that has waited longest goes: a client that means it sends its request at once, and a client that
 * holds connections open to keep others out only pushes its own out. Of the connections being answered the oldest goes where
 * answers are short: what has not been taken by then is not being read.
 *
 * One request at a time: Node reads requests that come behind an unanswered one (pipelining, RFC 9112 §9.3.2) at once, and
 * would keep all their answers. No client of ours sends so; a connection that does goes.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";

export interface Room {
  /** Connections in all. */
  readonly connections: number;
  /** Connections being answered; with one more, the oldest of them goes. Null: answers may last for as long as they like. */
  readonly answers: number | null;
}

/** Keep the connections of `server` within `room`. `turnAway` says why to a newcomer for whom no other may be put out. */
export function admit(server: Server, room: Room, turnAway: (socket: Socket) => void): void {
  // In the order of when it began: a Set keeps it.
  const waiting = new Set<Socket>();
  const answered = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    if (waiting.size + answered.size >= room.connections) {
      const oldest = first(waiting) ?? (room.answers === null ? undefined : first(answered));
      if (oldest === undefined) return turnAway(socket);
      putOut(oldest);
    }
    waiting.add(socket);
    socket.on("close", () => forget(socket));
  });
  server.prependListener("request", ({ socket }, response) => {
    if (answered.has(socket)) return putOut(socket);
    waiting.delete(socket);
    answered.add(socket);
    if (room.answers !== null && answered.size > room.answers) putOut(first(answered)!);
    response.on("close", () => {
      if (answered.delete(socket) && !socket.destroyed) waiting.add(socket);
    });
  });

  function putOut(socket: Socket): void {
    forget(socket);
    socket.destroy();
  }

  function forget(socket: Socket): void {
    waiting.delete(socket);
    answered.delete(socket);
  }
}

function first<T>(set: ReadonlySet<T>): T | undefined {
  for (const item of set) return item;
  return undefined;
}

/** 503 and the end. @param text JSON in ASCII; may be empty */
export function turnAway(socket: Socket, text: string): void {
  const type = text === "" ? "" : "content-type: application/json\r\n";
  socket.end(
    `HTTP/1.1 503 Service Unavailable\r\n${type}content-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
  );
}
