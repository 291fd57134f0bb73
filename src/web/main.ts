/**
 * The process behind `vtepctl web`, which starts it with its options as JSON (ctl/web.ts) and ends it.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { EXIT } from "../ctl/client.ts";
import { socketsIn } from "../ctl/fleet.ts";
import { serveWeb } from "./serve.ts";

const Options = z.strictObject({
  sockets: z.array(z.string()),
  folder: z.string().nullable(),
  host: z.string(),
  port: z.int(),
  publicHost: z.string().nullable(),
  lesson: z.string().nullable(),
});

const text = z.string().max(400);
const Lesson = z.strictObject({
  ping: text,
  faults: z
    .array(z.strictObject({ title: text, break: text, mend: text, ping: text.nullable().default(null) }))
    .max(12),
});

const { sockets, folder, host, port, publicHost, lesson } = Options.parse(JSON.parse(process.argv[2] ?? "null"));
const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const token = process.env.VTEPD_WEB_TOKEN;

process.on("disconnect", () => process.exit(0));

function found(): readonly string[] {
  if (folder === null) return sockets;
  try {
    return [...new Set([...sockets, ...socketsIn(folder)])];
  } catch {
    // The folder is empty while all gateways start again.
    return sockets;
  }
}

try {
  const web = await serveWeb({
    sockets: found,
    listen: { host, port },
    ...(publicHost !== null && { publicHost }),
    ...(lesson !== null && { lesson: Lesson.parse(JSON.parse(readFileSync(lesson, "utf8"))) }),
    ...(token !== undefined && token !== "" && { token }),
    version,
  });
  process.stdout.write(`${web.url}\nread-only; Ctrl-C ends\n`);
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  const why = code === "EADDRINUSE" ? `port ${port} is taken; --port names another, 0 any free one` : message;
  process.stderr.write(`vtepctl web: cannot listen on ${host}: ${why}\n`);
  process.exitCode = EXIT.failure;
}
