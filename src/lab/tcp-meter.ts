/**
 * The built-in TCP meter, run inside the machines' namespaces where no iperf3 is installed:
 *
 *     tcp-meter.js serve ADDRESS PORT            one connection, then it ends
 *     tcp-meter.js send|receive ADDRESS PORT '{"seconds": 2}' | '{"bytes": 1000000}'
 *
 * The client's first line says what it wants. The *receiver* measures, from the first byte to the last, since a
 * sender's count only says what its socket buffer swallowed; after a `send` the server therefore reports back what
 * arrived. The client prints {"bytes", "seconds"}.
 */
import { connect, createServer, type Socket } from "node:net";

type Amount = { seconds?: number; bytes?: number };
type Wish = { verb: "send" | "receive"; amount: Amount };

const CONNECT_MS = 5000;
const CHUNK = Buffer.alloc(256 << 10);

/** Send for so long, or so much, then say end-of-stream. */
async function pour(socket: Socket, amount: Amount): Promise<void> {
  const end = performance.now() + (amount.seconds ?? Number.POSITIVE_INFINITY) * 1000;
  let left = amount.bytes ?? Number.POSITIVE_INFINITY;
  while (left > 0 && performance.now() < end && !socket.destroyed) {
    const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
    left -= chunk.length;
    if (socket.write(chunk)) await new Promise((resolve) => setImmediate(resolve));
    else await new Promise((resolve) => socket.once("drain", resolve).once("close", resolve));
  }
}

/** Counts what arrives on a socket. */
class Meter {
  bytes = 0;
  private firstMs = 0;
  private lastMs = 0;

  take(length: number): void {
    this.lastMs = performance.now();
    if (this.bytes === 0) this.firstMs = this.lastMs;
    this.bytes += length;
  }

  reading(): string {
    return JSON.stringify({ bytes: this.bytes, seconds: (this.lastMs - this.firstMs) / 1000 });
  }
}

function serve(address: string, port: number): void {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    server.close();
    const meter = new Meter();
    let wish: Wish | undefined;
    let head = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      if (wish !== undefined) return meter.take(chunk.length);
      head = Buffer.concat([head, chunk]);
      const newline = head.indexOf(10);
      if (newline === -1) return;
      wish = JSON.parse(head.toString("utf8", 0, newline)) as Wish;
      if (newline + 1 < head.length) meter.take(head.length - newline - 1);
      if (wish.verb === "receive") void pour(socket, wish.amount).then(() => socket.end());
    });
    socket.on("end", () => {
      if (wish?.verb === "send") socket.end(meter.reading());
    });
  });
  server.listen(port, address, () => process.stdout.write("listening\n"));
}

function ask(verb: Wish["verb"], address: string, port: number, amount: Amount): void {
  const socket = connect({ host: address, port, allowHalfOpen: true });
  const meter = new Meter();
  let report = "";
  const late = setTimeout(() => socket.destroy(new Error(`no connection in ${CONNECT_MS / 1000} s`)), CONNECT_MS);
  socket.on("connect", async () => {
    clearTimeout(late);
    socket.write(`${JSON.stringify({ verb, amount } satisfies Wish)}\n`);
    if (verb === "send") {
      await pour(socket, amount);
      socket.end();
    }
  });
  socket.on("data", (chunk: Buffer) => {
    if (verb === "receive") meter.take(chunk.length);
    else report += chunk.toString();
  });
  socket.on("end", () => {
    socket.end();
    process.stdout.write(verb === "receive" ? meter.reading() : report);
  });
  socket.on("error", (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}

const [verb, address = "", port = "0", amount = "{}"] = process.argv.slice(2);
if (verb === "serve") serve(address, Number(port));
else if (verb === "send" || verb === "receive") ask(verb, address, Number(port), JSON.parse(amount) as Amount);
else {
  process.stderr.write("usage: tcp-meter serve ADDRESS PORT | send|receive ADDRESS PORT AMOUNT\n");
  process.exitCode = 2;
}
