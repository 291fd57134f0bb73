/**
 * `vtepctl completion bash|zsh|fish`: a script that asks vtepctl itself what may come next.
 *
 * The answer comes from the same tree of commands that parses the line, so it cannot be out of date; names (ACs, tunnels,
 * VSIs, VSI-interfaces) come from the running daemon. Where none answers within a moment there are no names, and no word.
 */
import { Argument, type Command, type Option } from "commander";
import { ask } from "./client.ts";
import { examples } from "./examples.ts";
import type { Session } from "./output.ts";
import { write } from "./terminal.ts";

const PATIENCE_MS = 500;
/** The hidden verb that the scripts call. */
export const COMPLETE = "__complete";

const BASH = `# bash completion for vtepctl: source <(vtepctl completion bash)
_vtepctl() {
  local IFS=$'\\n'
  COMPREPLY=($(vtepctl ${COMPLETE} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _vtepctl vtepctl
`;
const ZSH = `#compdef vtepctl
# zsh completion for vtepctl: source <(vtepctl completion zsh)
_vtepctl() {
  local -a found
  found=(\${(f)"$(vtepctl ${COMPLETE} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  compadd -a found
}
compdef _vtepctl vtepctl
`;
const FISH = `# fish completion for vtepctl: vtepctl completion fish | source
complete -c vtepctl -f -a '(vtepctl ${COMPLETE} -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`;
const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

/** Options and arguments whose values are names of objects. */
const NAMES: Readonly<Record<string, string>> = {
  ac: "/v1/acs",
  tunnel: "/v1/tunnels",
  vsi: "/v1/vsis",
  interface: "/v1/interfaces",
};

export function addCompletion(program: Command, session: Session): void {
  program
    .command("completion")
    .description("print a completion script for a shell")
    .addArgument(new Argument("<shell>").choices(Object.keys(SCRIPTS)))
    .addHelpText("after", examples("source <(vtepctl completion bash)", "vtepctl completion fish | source"))
    .action((shell: string) => write(SCRIPTS[shell]!));
  program
    .command(COMPLETE, { hidden: true })
    .argument("[words...]")
    .action(async (words: string[]) => {
      const found = await candidates(program, session.socket, words);
      await write(found.map((word) => `${word}\n`).join(""));
    });
}

/** What may stand in place of the last of `words`. */
export async function candidates(program: Command, socket: string, words: readonly string[]): Promise<string[]> {
  const last = words.at(-1) ?? "";
  let command = program;
  let open: Option | undefined;
  let at = socket;
  let given = 0;
  for (const word of words.slice(0, -1)) {
    if (open !== undefined) {
      if (open.attributeName() === "socket") at = word;
      open = undefined;
    } else if (word.startsWith("-")) open = takesValue(command, word);
    else {
      const child = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
      if (child === undefined) given++;
      else [command, given] = [child, 0];
    }
  }
  const all = open !== undefined ? await values(open, at) : await here(command, given, last, at);
  return all.filter((word) => word.startsWith(last)).sort();
}

function takesValue(command: Command, word: string): Option | undefined {
  const option = optionsOf(command).find((each) => each.short === word || each.long === word);
  return option !== undefined && (option.required || option.optional) ? option : undefined;
}

async function values(option: Option, socket: string): Promise<string[]> {
  return [...(option.argChoices ?? (await names(option.attributeName(), socket)))];
}

async function here(command: Command, given: number, last: string, socket: string): Promise<string[]> {
  const visible = command.commands.filter((each) => each.name() !== COMPLETE).map((each) => each.name());
  const argument = command.registeredArguments[Math.min(given, command.registeredArguments.length - 1)];
  const words = argument === undefined ? [] : (argument.argChoices ?? (await names(argument.name(), socket)));
  const options = last.startsWith("-") ? ["--help", ...optionsOf(command).map((each) => each.long ?? each.short!)] : [];
  return [...new Set([...visible, ...words, ...options])];
}

function optionsOf(command: Command): Option[] {
  return [...command.options, ...(command.parent === null ? [] : optionsOf(command.parent))];
}

async function names(what: string, socket: string): Promise<string[]> {
  const path = NAMES[what];
  if (path === undefined) return [];
  try {
    const rows = await ask<{ readonly name: string }[]>(socket, path, "GET", { timeoutMs: PATIENCE_MS });
    return rows.map((row) => row.name);
  } catch {
    return [];
  }
}
