#!/usr/bin/env node
/** vtepctl, the program: see command-line.ts. */
import { runCommand } from "./command-line.ts";

process.on("SIGINT", () => process.exit(130));
process.exitCode = await runCommand(process.argv.slice(2));
