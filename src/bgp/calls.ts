/**
 * gobgpd's methods by name, over a Unix socket: which version it speaks, one call, one stream.
 *
 * The socket is for the gateway alone (docs/evpn.md), so there is neither encryption nor a password on it.
 */
import { Client, type ClientReadableStream, credentials, type ServiceError, status } from "@grpc/grpc-js";
import type { Dialect, Fields } from "./dialect.ts";
import { gobgp3 } from "./gobgp3.ts";
import { gobgp4 } from "./gobgp4.ts";
import { PathReader } from "./path-reader.ts";

/** 3.10 sends all routes of a table in one message. */
const LONGEST_MESSAGE = 256 * 1024 * 1024;
/** A question that takes longer is not answered any more. */
export const ANSWER_MS = 10_000;

const REQUESTS: Readonly<Record<string, readonly [request: string, response: string]>> = {
  GetBgp: ["Nothing", "GetBgpResponse"],
  StartBgp: ["StartBgpRequest", "Nothing"],
  AddPeer: ["AddPeerRequest", "Nothing"],
  DeletePeer: ["DeletePeerRequest", "Nothing"],
  AddPath: ["AddPathRequest", "Nothing"],
  DeletePath: ["DeletePathRequest", "Nothing"],
  ListPath: ["ListPathRequest", "HeardList"],
  ListPeer: ["ListPeerRequest", "ListPeerResponse"],
  WatchEvent: ["WatchEventRequest", "HeardEvent"],
};

export class Calls {
  readonly dialect: Dialect;
  readonly paths: PathReader;
  private readonly client: Client;
  private readonly answerMs: number;

  private constructor(client: Client, dialect: Dialect, answerMs: number) {
    this.client = client;
    this.dialect = dialect;
    this.paths = new PathReader(dialect);
    this.answerMs = answerMs;
  }

  /** Who answers at `socket`, in version `api`. Rejects with a ServiceError. */
  static async open(socket: string, api: "auto" | "v3" | "v4", answerMs = ANSWER_MS): Promise<Calls> {
    const options = { "grpc.max_receive_message_length": LONGEST_MESSAGE, "grpc.max_send_message_length": -1 };
    const client = new Client(`unix:${socket}`, credentials.createInsecure(), options);
    const wanted = api === "auto" ? [gobgp4, gobgp3] : [api === "v4" ? gobgp4 : gobgp3];
    try {
      for (const [index, dialect] of wanted.entries()) {
        const calls = new Calls(client, dialect(), answerMs);
        try {
          await calls.ask("GetBgp", {});
          return calls;
        } catch (error) {
          if ((error as ServiceError).code === status.UNIMPLEMENTED && index + 1 < wanted.length) continue;
          // It speaks this version, and has no BGP yet: StartBgp is next.
          if (/not started|hasn't started/i.test(String(error))) return calls;
          throw error;
        }
      }
      throw new Error("it speaks neither version of gobgpd's API");
    } catch (error) {
      client.close();
      throw error;
    }
  }

  ask(method: string, request: Fields): Promise<Fields> {
    const { path, encode, decode } = this.codecOf(method);
    const deadline = Date.now() + this.answerMs;
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(path, encode, decode, request, { deadline }, (error, response) => {
        if (error !== null) reject(error);
        else resolve(response!);
      });
    });
  }

  /** A stream of answers. The caller listens for `data`, `error` and `end`. */
  listen(method: string, request: Fields): ClientReadableStream<Fields> {
    const { path, encode, decode } = this.codecOf(method);
    return this.client.makeServerStreamRequest(path, encode, decode, request);
  }

  close(): void {
    this.client.close();
  }

  private codecOf(method: string) {
    const [requestName, responseName] = REQUESTS[method]!;
    const request = this.dialect.type(requestName);
    const response = this.dialect.type(responseName);
    return {
      path: this.dialect.service + method,
      encode: (fields: Fields) => Buffer.from(request.encode(request.fromObject(fields)).finish()),
      decode: (bytes: Buffer) => response.decode(bytes) as unknown as Fields,
    };
  }
}

/** gRPC puts its code before the words, "14 UNAVAILABLE: …", and behind them what it has to say of names, which is nothing here. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.? Resolution note: *$/, "");
}
