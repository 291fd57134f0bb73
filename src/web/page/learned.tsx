/** Neighbour tables (ARP's or ND's) as they fill: one beside the other, the same address with another MAC on each gateway. */
import type { Walk } from "../said-walk.ts";
import { Value } from "./frame.tsx";
import { tableWord } from "./hop-field.ts";
import { name } from "./shown.ts";

export function LearnedTables({ walk, done }: { readonly walk: Walk; readonly done: number }) {
  const tables = walk.actors.filter(({ id }) =>
    walk.hops.some(({ learned }) => learned.some(({ table }) => table === id)),
  );
  // Gateways first: theirs are read, a machine's is what it must have made of the frame.
  tables.sort((a, b) => Number(a.kind === "machine") - Number(b.kind === "machine"));
  return (
    <section class="card learned" aria-label={`${tableWord(walk)}s`}>
      <h2>
        {`${tableWord(walk)}s`} <span class="quiet">{`after hop ${done}`}</span>
      </h2>
      <div class="beside">
        {tables.map(({ id, label, kind }) => {
          const rows = walk.hops
            .slice(0, done)
            .flatMap(({ learned }, i) =>
              learned.filter(({ table }) => table === id).map((row) => ({ ...row, hop: i + 1 })),
            );
          return (
            <div key={id} class="arp" data-arp={label}>
              <h3>
                {name(label)} {kind === "machine" && <span class="quiet">must know</span>}
              </h3>
              {rows.length === 0 ? (
                <p class="quiet">empty</p>
              ) : (
                <ul>
                  {rows.map(({ ip, mac, via, hop }) => (
                    <li key={ip + mac} class={hop === done ? "new" : ""}>
                      <span class="mono">{name(ip)}</span> <Value text={mac} names={walk.names} />
                      <span class="quiet">{via === null ? "" : ` ${name(via)}`}</span>
                      {hop === done && <strong> new</strong>}
                    </li>
                  ))}
                </ul>
              )}
            </div>
          );
        })}
      </div>
    </section>
  );
}
