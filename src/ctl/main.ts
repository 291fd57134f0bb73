#!/usr/bin/env node
/** vtepctl, the program: see command-line.ts. */
import { runCommand } from "./command-line.ts";
import { guardOutput } from "./terminal.ts";

guardOutput();

// A verb that has something to bring to an end (a capture's file) listens itself.
process.on("SIGINT", () => {
  if (process.listenerCount("SIGINT") === 1) process.exit(130);
});
process.exitCode = await runCommand(process.argv.slice(2));
