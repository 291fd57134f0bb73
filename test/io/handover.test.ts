/**
 * A file descriptor crosses a Unix socket of Node's own: what `vtepctl attach` and the gateway do with a TAP.
 */
import { once } from "node:events";
import { existsSync, fstatSync, openSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as native from "../../src/io/native.ts";

const built = existsSync(new URL("../../native-bindings/build/Release/vtepd.node", import.meta.url));
if (!built) console.log("handover.test.ts skipped: the addon is not built (npm run build)");

const fdOf = (socket: Socket): number => (socket as unknown as { _handle: { fd: number } })._handle.fd;

describe.skipIf(!built)("handing over a file descriptor", () => {
  const path = `/tmp/vtepd-handover-${process.pid}`;
  const server = createServer({ pauseOnConnect: true });
  let near: Socket;
  let far: Socket;

  beforeEach(async () => {
    server.listen(path);
    await once(server, "listening");
    far = connect(path);
    [near] = (await once(server, "connection")) as [Socket];
  });
  afterEach(() => {
    near.destroy();
    far.destroy();
    server.close();
    rmSync(path, { force: true });
  });

  it("brings the same file, a text, and who sent it", () => {
    const file = openSync("/dev/null", "r");
    expect(native.receiveFd(fdOf(near))).toBeUndefined();
    expect(native.sendFd(fdOf(far), file, '{"ac":"vm1"}')).toBe(0);
    const got = native.receiveFd(fdOf(near))!;
    expect(got).toMatchObject({
      pid: process.pid,
      uid: process.getuid!(),
      gid: process.getgid!(),
      text: '{"ac":"vm1"}',
    });
    expect(got.fd).not.toBe(file);
    expect(fstatSync(got.fd).rdev).toBe(fstatSync(file).rdev);
    expect([native.closeFd(got.fd), native.closeFd(file)]).toEqual([0, 0]);
  });

  it("tells text alone and the end apart", () => {
    expect(native.sendFd(fdOf(far), -1, "hello")).toBe(0);
    expect(native.receiveFd(fdOf(near))).toMatchObject({ fd: -1, text: "hello" });
    far.destroy();
    return once(far, "close").then(() => expect(native.receiveFd(fdOf(near))).toMatchObject({ fd: -1, text: "" }));
  });

  it("refuses what cannot be", () => {
    expect(native.sendFd(fdOf(far), 9999, "x")).toBe(-9);
    expect(native.sendFd(fdOf(far), -1, "")).toBe(-90);
    expect(native.sendFd(fdOf(far), -1, "x".repeat(4097))).toBe(-90);
    expect(() => native.receiveFd(9999)).toThrow(/attach socket: cannot receive a file descriptor: EBADF/);
  });
});
