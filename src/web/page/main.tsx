/** The page of `vtepctl web`: what a browser runs. See ../said.ts for what it is told, and docs for how it is used. */
import { render } from "preact";
import type { Walk } from "../said-walk.ts";
import { Kept } from "./kept.tsx";
import { Shell } from "./shell.tsx";
import { begin } from "./state.ts";

const place = document.getElementById("page")!;
place.textContent = "";
// A walk that was kept as a file brings its own data, and asks no server.
const kept = document.getElementById("walk-data")?.textContent;
if (kept !== undefined && kept !== null) render(<Kept walk={JSON.parse(kept) as Walk} />, place);
else {
  render(<Shell />, place);
  begin();
}
