/**
 * `vtepctl -n 3 show mac` is `vtepctl show mac -n 3`: an option of the verb is good in front of it too, as the shared options
 * are behind it.
 *
 * What is no option of that verb stays where it is, to be refused.
 */
import type { Command, Option } from "commander";

const named = (parent: Command, word: string | undefined) =>
  parent.commands.find((each) => word !== undefined && (each.name() === word || each.aliases().includes(word)));

const optionOf = (command: Command, text: string): Option | undefined =>
  command.options.find(({ long, short }) => [long, short].includes(text.split("=")[0]!));

const takesNext = ({ required, optional }: Option, text: string) => (required || optional) && !text.includes("=");

/** The same words, options behind the verb they belong to. */
export function inOrder(program: Command, args: readonly string[]): readonly string[] {
  const shared: string[] = [];
  /** Options that are not shared, each with what follows it. */
  const early: string[] = [];
  let at = 0;
  while (at < args.length && named(program, args[at]) === undefined) {
    const text = args[at++]!;
    const option = optionOf(program, text);
    if (option === undefined) early.push(text);
    else {
      shared.push(text);
      if (takesNext(option, text) && at < args.length) shared.push(args[at++]!);
    }
  }
  const verbAt = at;
  let verb = program;
  for (let next = named(program, args[at]); next !== undefined; next = named(next, args[at])) {
    verb = next;
    at++;
  }
  const isItsOwn = early.every((text) => !text.startsWith("-") || optionOf(verb, text) !== undefined);
  if (verb === program || early[0]?.startsWith("-") !== true || !isItsOwn) return args;
  return [...shared, ...args.slice(verbAt, at), ...early, ...args.slice(at)];
}
