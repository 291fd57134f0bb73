/** Who is given the TAP: the gateway, and no one who has put a socket of their own in its place. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { userNumber } from "../../src/ctl/gateway-user.ts";
import { Hold } from "../../src/ctl/hold.ts";

const OTHER_USER = 65534;
const GATEWAY = 4789;
const isBuilt = existsSync(new URL("../../native-bindings/build/Release/vtepd.node", import.meta.url));
const whyNot =
  process.getuid!() !== 0 ? "users are changed: root is needed" : isBuilt ? undefined : "the addon is not built";
if (whyNot !== undefined) console.log(`hold.test.ts skipped: ${whyNot}`);

const cleanups: (() => void)[] = [];
afterEach(() => {
  while (cleanups.length > 0) cleanups.pop()!();
});

/** Takes what comes and answers as a gateway does; says on stdout what it was given. */
const SERVER = `
  const answer = JSON.stringify({ attached: { gateway: "gw1", vsi: "vsi10", mtu: 1450 } }) + "\\n";
  const server = require("net").createServer((socket) => {
    socket.on("error", () => 0).on("data", (text) => { process.stdout.write("GIVEN " + text); socket.write(answer); });
  });
  process.umask(0);
  server.listen(process.argv[1], () => process.stdout.write("listening\\n"));
`;

interface Place {
  readonly path: string;
  /** What the server has said. */
  said(): string;
}

/** A folder of user `owner` in which a process of user `server` listens. */
async function place(owner: number, server: number, mode: number): Promise<Place> {
  const home = mkdtempSync(join(tmpdir(), "vtepctl-hold-"));
  chmodSync(home, 0o755);
  const folder = join(home, "run");
  mkdirSync(folder);
  chownSync(folder, owner, owner);
  chmodSync(folder, mode);
  const path = join(folder, "gw1.sock");
  let said = "";
  const child: ChildProcess = spawn(process.execPath, ["-e", SERVER, path], { uid: server, gid: server, cwd: "/" });
  child.stdout!.on("data", (part) => {
    said += part;
  });
  cleanups.push(() => {
    child.kill("SIGKILL");
    rmSync(home, { recursive: true });
  });
  await expect.poll(() => said, { timeout: 5000 }).toContain("listening");
  expect(lstatSync(path).uid).toBe(server);
  return { path, said: () => said };
}

/** What a VM hears that offers a file there. */
async function offer({ path }: Place, gatewayUser: number | null = null): Promise<string> {
  const file = openSync("/dev/null", "r+");
  let heard = "";
  const hear = (text: string) => {
    heard ||= text;
  };
  const hold = new Hold(
    path,
    file,
    { version: 1, ac: "vm1", device: "eth0" },
    {
      attached: ({ gateway }) => hear(`attached to ${gateway}`),
      mtu: () => undefined,
      lost: hear,
      distrusted: (why) => hear(`distrusted: ${why}`),
      away: () => undefined,
      back: () => undefined,
      refused: ({ message }) => hear(`refused: ${message}`),
    },
    gatewayUser,
  );
  cleanups.push(() => closeSync(file));
  cleanups.push(() => hold.end());
  hold.offer();
  await expect.poll(() => heard, { timeout: 5000 }).not.toBe("");
  return heard;
}

describe.skipIf(whyNot !== undefined)("a VM gives its TAP", () => {
  it.each([
    ["the owner of the folder", GATEWAY, GATEWAY, 0o2750, null],
    ["root in a folder of root's", 0, 0, 0o755, null],
    ["root in a folder that is everybody's", 0, 0, 0o1777, null],
    ["the user that was named", GATEWAY, OTHER_USER, 0o777, OTHER_USER],
  ])("to %s", async (_, owner, server, mode, named) => {
    const here = await place(owner, server, mode);
    expect(await offer(here, named)).toBe("attached to gw1");
    expect(here.said()).toContain('GIVEN {"version":1,"ac":"vm1"');
  });

  it.each([
    [
      "root in a gateway's folder, as another VM's container is",
      GATEWAY,
      0,
      0o2770,
      null,
      "its folder belongs to user 4789",
    ],
    ["another user in a folder of root's", 0, OTHER_USER, 0o777, null, "its folder belongs to user 0"],
    ["another user in a folder that is everybody's", 0, OTHER_USER, 0o1777, null, "in a folder that is everybody's"],
    ["the owner of the folder, where another was named", OTHER_USER, OTHER_USER, 0o755, GATEWAY, "not as user 4789"],
  ])("not to %s", async (_, owner, server, mode, named, why) => {
    const here = await place(owner, server, mode);
    const heard = await offer(here, named);
    expect(heard).toMatch(new RegExp(`^distrusted: what answers at .*/gw1.sock runs as user ${server} `));
    expect(heard).toContain(why);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(here.said()).toBe("listening\n");
  });
});

it.skipIf(whyNot !== undefined)(
  "is told that the gateway is back, where it was told that it is away meanwhile",
  async () => {
    const home = mkdtempSync(join(tmpdir(), "vtepctl-hold-"));
    const path = join(home, "gw1.sock");
    const file = openSync("/dev/null", "r+");
    const heard: string[] = [];
    const tell = (word: string) => () => void heard.push(word);
    const hold = new Hold(
      path,
      file,
      { version: 1, ac: "vm1", device: "eth0" },
      {
        ...{ attached: tell("attached"), mtu: tell("mtu"), away: tell("away"), back: tell("back") },
        ...{ lost: () => undefined, distrusted: tell("distrusted"), refused: tell("refused") },
      },
    );
    cleanups.push(() => rmSync(home, { recursive: true }));
    cleanups.push(() => closeSync(file));
    cleanups.push(() => hold.end());
    hold.offer();
    // Nothing listens yet; then what does takes 4.6 s to answer. Absence is told after 5 s.
    await new Promise((resolve) => setTimeout(resolve, 800));
    const server = createServer((socket) => {
      socket
        .on("error", () => {})
        .once("data", () => {
          const answer = { attached: { gateway: "gw1", vsi: "vsi10", mtu: 1450 } };
          setTimeout(() => socket.write(`${JSON.stringify(answer)}\n`), 4600);
        });
    }).listen(path);
    cleanups.push(() => server.close());
    await expect.poll(() => heard.at(-1), { timeout: 30_000 }).toBe("attached");
    expect(heard).toEqual(["away", "back", "attached"]);
  },
);

it("knows users by number and by name", () => {
  expect([userNumber("4789"), userNumber("root"), userNumber("no-such-user")]).toEqual([4789, 0, null]);
});
