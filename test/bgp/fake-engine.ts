/** A server that speaks gobgpd's interface as a test wants it: right, wrong, slowly or not at all. Messages are made by our own dialects. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Dialect, Fields } from "../../src/bgp/dialect.ts";

type Bytes = Buffer | Fields;
type Write = (answer: Bytes) => void;

export interface Answers {
  /** Answers of one message; a Buffer goes as it is. A promise that never settles: no answer. */
  readonly unary: Readonly<Record<string, (request: Fields) => Promise<Bytes> | Bytes>>;
  /** Writes what it likes; `end` closes the stream. */
  readonly streams: Readonly<Record<string, (write: Write, end: () => void, request: Fields) => void>>;
}

const TYPES: Readonly<Record<string, readonly [string, string]>> = {
  GetBgp: ["Nothing", "GetBgpResponse"],
  AddPath: ["AddPathRequest", "Nothing"],
  DeletePath: ["DeletePathRequest", "Nothing"],
  ListPath: ["ListPathRequest", "ListPathResponse"],
  ListPeer: ["ListPeerRequest", "ListPeerResponse"],
  WatchEvent: ["WatchEventRequest", "WatchEventResponse"],
};

export interface FakeEngine {
  readonly socket: string;
  remove(): void;
}

export async function fakeEngine(dialect: Dialect, { unary, streams }: Answers): Promise<FakeEngine> {
  const folder = mkdtempSync(join(tmpdir(), "fakebgp-"));
  const socket = join(folder, "api.sock");
  const server = new Server();
  const methods = [...Object.keys(unary), ...Object.keys(streams)];
  const encode = (method: string, answer: Bytes) => {
    const type = dialect.type(TYPES[method]![1]);
    return Buffer.isBuffer(answer) ? answer : Buffer.from(type.encode(type.fromObject(answer)).finish());
  };
  server.addService(
    Object.fromEntries(
      methods.map((method) => [
        method,
        {
          path: dialect.service + method,
          requestStream: false,
          responseStream: method in streams,
          requestSerialize: (bytes: Buffer) => bytes,
          responseSerialize: (bytes: Buffer) => bytes,
          responseDeserialize: (bytes: Buffer) => bytes,
          requestDeserialize: (bytes: Buffer) => dialect.type(TYPES[method]![0]).decode(bytes) as unknown as Fields,
        },
      ]),
    ),
    Object.fromEntries(
      methods.map((method) => [
        method,
        method in streams
          ? (call: ServerWritableStream<Fields, Buffer>) =>
              streams[method]!(
                (answer) => call.write(encode(method, answer)),
                () => call.end(),
                call.request,
              )
          : (call: ServerUnaryCall<Fields, Buffer>, done: sendUnaryData<Buffer>) =>
              void Promise.resolve(unary[method]!(call.request)).then((answer) => done(null, encode(method, answer))),
      ]),
    ),
  );
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  return {
    socket,
    remove() {
      server.forceShutdown();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
