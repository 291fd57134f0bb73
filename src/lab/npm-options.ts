/**
 * Options that npm has taken for itself: of `npm run lab --brief` the script is told nothing but the variable npm_config_brief.
 */

/** Names that npm has an option of its own for: in the environment they may come from a user's .npmrc. */
const NPM_HAS = new Set(["json", "all"]);

export interface Taken {
  /** "--brief", as it was written. */
  readonly option: string;
  /** Can it mean nothing but a mistake? */
  readonly isCertain: boolean;
}

/** @param names the lab's options, without dashes: "shared-mac" */
export function takenByNpm(names: readonly string[], env: Readonly<Record<string, string | undefined>>): Taken[] {
  if (env.npm_lifecycle_event !== "lab") return [];
  return names
    .filter((name) => env[`npm_config_${name.replaceAll("-", "_")}`] !== undefined)
    .map((name) => ({ option: `--${name}`, isCertain: !NPM_HAS.has(name) }));
}

export function takenText(taken: readonly Taken[]): string {
  const words = taken.map(({ option }) => option).join(" ");
  return `npm has taken ${words} for itself; what the lab is to see stands behind "--": npm run lab -- ${words}`;
}
