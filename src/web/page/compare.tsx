/** The same ping in the article's first scheme and in its second, side by side, counted. */
import type { Walk } from "../said-walk.ts";
import { Stage } from "./stage.tsx";

/** Around the frame: Ethernet, IPv4, UDP, VXLAN. */
const AROUND = 50;

interface Counted {
  readonly hops: number;
  readonly inTunnels: number;
  readonly bytes: number;
  readonly ttl: string;
  readonly third: number;
}

/** What it took; `third` are the hops of the ping through the third VTEP. */
function countOf(walk: Walk): Counted {
  const tunnels = walk.hops.filter(({ tunnel }) => tunnel !== null);
  const pings = walk.hops.filter(({ kind }) => kind === "ip");
  const last = pings.at(-1)?.fields.find(({ name }) => name === "TTL" || name === "hop limit")?.text ?? "–";
  const ends = new Set(walk.actors.filter(({ kind }) => kind === "machine").map(({ behind }) => behind));
  const third = walk.actors.find(({ id, kind }) => kind === "gateway" && !ends.has(id))?.id;
  return {
    hops: walk.hops.length,
    inTunnels: tunnels.length,
    bytes: tunnels.reduce((sum, { length }) => sum + length + AROUND, 0),
    ttl: last,
    third: pings.filter(({ from, to }) => from === third || to === third).length,
  };
}

const ROWS: readonly (readonly [keyof Counted, string])[] = [
  ["hops", "hops in all"],
  ["inTunnels", "of them in tunnels"],
  ["bytes", "bytes on the underlay"],
  ["third", "hops of the packet to or from the third VTEP"],
  ["ttl", "TTL of the answer"],
];

export function Compare({ distributed, centralized }: { readonly distributed: Walk; readonly centralized: Walk }) {
  const both = [
    { title: "centralised", walk: centralized, counted: countOf(centralized) },
    { title: "distributed", walk: distributed, counted: countOf(distributed) },
  ];
  return (
    <section class="card" aria-labelledby="compare-title">
      <h2 id="compare-title">The same ping in both schemes</h2>
      <table class="compare">
        <thead>
          <tr>
            <th scope="col">
              <span class="unseen">what</span>
            </th>
            {both.map(({ title }) => (
              <th key={title} scope="col" class="number">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {ROWS.map(([key, text]) => (
            <tr key={key}>
              <th scope="row">{text}</th>
              {both.map(({ title, counted }) => (
                <td key={title} class="number">
                  {counted[key]}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <div class="beside">
        {both.map(({ title, walk }) => (
          <figure key={title}>
            <figcaption>{title}</figcaption>
            <Stage walk={walk} done={walk.hops.length} goTo={() => undefined} isSmall />
          </figure>
        ))}
      </div>
    </section>
  );
}
