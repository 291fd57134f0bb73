/** Names of which more may be known than stand here: "a; b; 3 more". `count`: how many there are; `most`: how many are said. */
export function someNames(names: readonly string[], count = names.length, most = names.length): string {
  const said = names.slice(0, most);
  return (count > said.length ? [...said, `${count - said.length} more`] : said).join("; ");
}
