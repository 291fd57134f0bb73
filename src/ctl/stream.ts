/**
 * A question that is answered line by line for as long as somebody listens (client.ts has those with one answer).
 *
 * The head of the answer says whether there will be one; then lines come until the daemon ends, or we do.
 */
import { type IncomingMessage, request } from "node:http";
import type { Fault } from "../api/schema.ts";
import { exitOf, Refusal, unreachable } from "./client.ts";

const HEAD_WITHIN_MS = 5000;
const LONGEST_LINE = 1 << 20;

export interface Lines {
  /** Ends it; `ended` then resolves. */
  stop(): void;
  /** Resolves when it is over: true, because `stop` was called; false, because the daemon ended it. Rejects with what `onLine` threw. */
  readonly ended: Promise<boolean>;
}

/** Read the lines of `path`, without their ends; empty ones are left out. Throws a Refusal when there is no such stream. */
export async function follow(socket: string, path: string, onLine: (line: string) => void): Promise<Lines> {
  const answer = await headOf(socket, path);
  if (answer.statusCode !== 200) throw await refusalOf(answer);
  let rest = "";
  let stopped = false;
  answer.setEncoding("utf8");
  const ended = new Promise<boolean>((resolve, reject) => {
    answer.on("close", () => resolve(stopped));
    // A daemon that ends cuts the connection: that is an end like any other.
    answer.on("error", () => resolve(stopped));
    answer.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      try {
        for (const line of lines) if (line !== "" && !stopped) onLine(line);
      } catch (error) {
        reject(error as Error);
        answer.destroy();
      }
      if (rest.length > LONGEST_LINE) answer.destroy();
    });
  });
  // Not everybody waits for the end.
  ended.catch(() => undefined);
  const stop = () => {
    stopped = true;
    answer.destroy();
  };
  return { stop, ended };
}

function headOf(socket: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, path, agent: false });
    const late = setTimeout(() => {
      outgoing.destroy(Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" }));
    }, HEAD_WITHIN_MS);
    outgoing.on("error", (error) => {
      clearTimeout(late);
      reject(unreachable(socket, error));
    });
    outgoing.on("response", (answer) => {
      clearTimeout(late);
      resolve(answer);
    });
    outgoing.end();
  });
}

async function refusalOf(answer: IncomingMessage): Promise<Refusal> {
  let fault: Partial<Fault["error"]> = {};
  try {
    let text = "";
    for await (const part of answer) {
      text += part;
      if (text.length > LONGEST_LINE) answer.destroy();
    }
    fault = (JSON.parse(text) as Partial<Fault>).error ?? {};
  } catch {
    // the status says enough
  }
  return new Refusal(
    fault.code ?? "failure",
    fault.message ?? `HTTP status ${answer.statusCode}`,
    fault.hint ?? "",
    exitOf(answer.statusCode ?? 0),
  );
}
