/** A walk that was kept as a file: the same view, without a server. */
import type { Walk } from "../said-walk.ts";
import { vnisHere } from "./vxlans.tsx";
import { Walked } from "./walk.tsx";
import { walk as current, show } from "./walk-state.ts";

export function Kept({ walk }: { readonly walk: Walk }) {
  if (current.value === null) {
    vnisHere.value = [...new Set(walk.hops.flatMap(({ tunnel }) => (tunnel?.vni == null ? [] : [tunnel.vni])))].sort(
      (a, b) => a - b,
    );
    show(walk);
  }
  return (
    <>
      <header class="top">
        <h1>vtepctl web</h1>
        <p class="health">{`a walk of ${new Date(walk.at).toLocaleString()}, kept as a file`}</p>
      </header>
      <main id="main">
        <div class="walk">
          <Walked walk={walk} />
        </div>
      </main>
    </>
  );
}
