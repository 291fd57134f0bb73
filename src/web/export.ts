/**
 * A walk as one file: page, style and data in one HTML document that asks no server. It opens from a disk, in a lecture or beside
 * a bug report.
 *
 * The data stands in a block that is no script, with every `<` written as an escape, so that nothing in it can end the block;
 * the policy lets the one script and the one style run whose hashes it names.
 */
import { createHash } from "node:crypto";
import type { Walk } from "./said-walk.ts";

export interface Assets {
  readonly script: string;
  readonly style: string;
}

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

export function exportHtml(walk: Walk, assets: Assets): string {
  // A string literal with that word would end the element.
  const script = assets.script.replace(/<\/(script)/gi, "<\\/$1").replace(/<!--/g, "<\\!--");
  const style = assets.style.replace(/<\/(style)/gi, "<\\/$1");
  const data = JSON.stringify(walk).replace(/</g, "\\u003c");
  const policy = `default-src 'none'; script-src ${hashOf(script)}; style-src ${hashOf(style)}; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>walk · vtepctl web</title>
<style>${style}</style>
</head>
<body>
<div id="page"></div>
<script type="application/json" id="walk-data">${data}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}
