/** The page of `vtepctl web`: what a browser runs. See ../said.ts for what it is told, and docs for how it is used. */
import { render } from "preact";
import { Shell } from "./shell.tsx";
import { begin } from "./state.ts";

const place = document.getElementById("page")!;
place.textContent = "";
render(<Shell />, place);
begin();
