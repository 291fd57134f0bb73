/**
 * One TCP stream with a fingerprint, run inside two machines' namespaces:
 *
 *     node tcp-hash.mjs serve ADDRESS PORT                      takes one connection to its end
 *     node tcp-hash.mjs send ADDRESS PORT BYTES                 so many bytes, as fast as they go
 *     node tcp-hash.mjs send ADDRESS PORT paced                 32 kB every 10 ms until stdin closes
 *
 * Both print {"bytes", "sha256"} at the end. The bytes never repeat in a period that a segment, a batch or a ring could
 * have: a lost, doubled or swapped piece changes the hash.
 */
import { createHash } from "node:crypto";
import { connect, createServer } from "node:net";

const CHUNK = 1 << 16;
const PACE_MS = 10;
const PACE_BYTES = 1 << 15;
/** The receiver says how far it is. */
const TELL_BYTES = 1 << 18;

const hash = createHash("sha256");
let bytes = 0;
const account = (chunk) => {
  hash.update(chunk);
  bytes += chunk.length;
};
const report = () => process.stdout.write(`${JSON.stringify({ bytes, sha256: hash.digest("hex") })}\n`);
const fail = (error) => {
  process.stderr.write(`${error.message} after ${bytes} bytes\n`);
  process.exit(1);
};

/** xorshift32 over a whole chunk: the state goes on from chunk to chunk. */
let state = 0x9e3779b9;
function next(length) {
  const words = new Uint32Array(length >>> 2);
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer);
}

async function pour(socket, put) {
  const drained = () => new Promise((resolve) => socket.once("drain", resolve));
  if (put === "paced") {
    let isOpen = true;
    process.stdin.on("end", () => (isOpen = false)).resume();
    while (isOpen) {
      const chunk = next(PACE_BYTES);
      account(chunk);
      if (!socket.write(chunk)) await drained();
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    }
  } else {
    for (let left = Number(put); left > 0; left -= CHUNK) {
      const chunk = next(Math.min(CHUNK, left));
      account(chunk);
      if (!socket.write(chunk)) await drained();
    }
  }
  socket.end();
}

const [verb, address, port, put] = process.argv.slice(2);
if (verb === "serve") {
  const server = createServer((socket) => {
    server.close();
    let told = 0;
    socket.on("data", (chunk) => {
      account(chunk);
      if (bytes - told < TELL_BYTES) return;
      told = bytes;
      process.stdout.write(`at ${bytes}\n`);
    });
    socket.on("error", fail);
    socket.on("end", () => {
      socket.end();
      report();
    });
  });
  server.listen(Number(port), address, () => process.stdout.write("listening\n"));
} else {
  const socket = connect({ host: address, port: Number(port) });
  socket.on("error", fail);
  socket.on("connect", () => pour(socket, put));
  // The other side's end of stream says that it has taken everything.
  socket.on("end", report);
  socket.resume();
}
