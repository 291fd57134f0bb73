/**
 * Several gateways asked at once: `-s A -s B`, or `--fleet DIR` for all control sockets of a folder.
 *
 * A gateway that does not answer is one row among the others, never the end of the answer; the exit code says that one was
 * missing. Gateways are called by the name in their configuration (`node`); one that does not answer, by its socket.
 */
import { basename } from "node:path";
import type { Status } from "../api/schema.ts";
import { type Ask, ask, EXIT, type Method, type Question, Refusal, socketsIn as socketsUnder } from "./client.ts";
import type { Session } from "./output.ts";

/** One gateway's answer, or why there is none. */
export interface Answer<T> {
  readonly socket: string;
  readonly node: string;
  readonly value: T | null;
  readonly refusal: Refusal | null;
}

/** Control sockets in a folder; throws a Refusal where there are none. */
export function socketsIn(folder: string): string[] {
  let sockets: string[];
  try {
    sockets = socketsUnder(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const exit = code === "EACCES" ? EXIT.permission : EXIT.notFound;
    throw new Refusal("no_fleet", `${folder} cannot be read: ${code}`, "name the folder of the control sockets", exit);
  }
  if (sockets.length > 0) return sockets;
  throw new Refusal("no_fleet", `${folder} has no control socket`, "its names end in .sock", EXIT.notFound);
}

export function isFleet({ sockets }: Session): boolean {
  return sockets.length > 1;
}

const callName = (socket: string) => basename(socket).replace(/\.sock$/, "");

/** The same question to all, by `asking`; the answers come in the order of the sockets. */
export function askAll<T>(
  sockets: readonly string[],
  path: string,
  method?: Method,
  question?: Question,
  asking: Ask = ask,
): Promise<Answer<T>[]> {
  return eachOf(sockets, asking, (socket, status) =>
    path === "/v1/status" ? (status as T) : asking<T>(socket, path, method, question),
  );
}

/** What `valueAt` makes of each that answers; the answers come in the order of the sockets. */
export function eachOf<T>(
  sockets: readonly string[],
  asking: Ask,
  valueAt: (socket: string, status: Status) => T | Promise<T>,
): Promise<Answer<T>[]> {
  return Promise.all(
    sockets.map(async (socket): Promise<Answer<T>> => {
      let node = callName(socket);
      try {
        const status = await asking<Status>(socket, "/v1/status");
        node = status.node;
        return { socket, node, value: await valueAt(socket, status), refusal: null };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return { socket, node, value: null, refusal: error };
      }
    }),
  );
}

/** One that does not answer, as a row among the others. */
export const silentText = ({ node, refusal }: Answer<unknown>): string => `${node}: no answer: ${refusal!.message}`;

/** After everything was shown: the exit code of the first gateway that gave no answer. */
export function failFor(answers: readonly Answer<unknown>[]): void {
  const missing = answers.find(({ refusal }) => refusal !== null);
  if (missing !== undefined) throw new Refusal("incomplete", "", "", missing.refusal!.exit);
}

/** An answer in JSON: an error stands beside the gateways that answered. */
export function answerForm<T>({ socket, node, refusal }: Answer<T>, parts: object): object {
  const error = refusal === null ? null : { code: refusal.code, message: refusal.message, hint: refusal.hint };
  return { node, socket, ...parts, error };
}
