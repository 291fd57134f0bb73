/** Neighbour (ARP and ND), MAC and routing tables of all gateways: one row for each address, one column for each gateway, differences marked. */
import { signal } from "@preact/signals";
import type { TablesSaid } from "../said.ts";
import type { EvpnRoutesSaid } from "../said-evpn.ts";
import { evpn, takesPart } from "./evpn.tsx";
import { Filter, matcher } from "./filter.tsx";
import { gatewayMacs } from "./owners.ts";
import { polled } from "./poll.ts";
import { Scroll } from "./scroll.tsx";
import { count, name, sentence } from "./shown.ts";
import { Sign } from "./sign.tsx";

const LISTED = ["neighbors", "macs", "routes"] as const;
type Listed = (typeof LISTED)[number];
type Kind = Listed | "evpn";
const TITLES: Readonly<Record<Kind, string>> = { neighbors: "ARP, ND", macs: "MAC", routes: "Routes", evpn: "EVPN" };
const AGAIN_MS = 2000;
const ROUTES_AGAIN_MS = 5000;
/** More are found by the filter. */
const MOST_SHOWN = 300;

const kind = signal<Kind>("neighbors");
const filter = signal("");
const differing = signal(false);
const tables = polled<TablesSaid>("/api/tables", AGAIN_MS);
const routes = polled<EvpnRoutesSaid>("/api/evpn-routes", ROUTES_AGAIN_MS);

/** What the gateways know of an address, in each of their tables: the view, narrowed to it. */
export function lookUp(table: Listed, words: string): void {
  kind.value = table;
  filter.value = words;
  differing.value = false;
  location.hash = "#/tables";
}

interface Cell {
  /** What is compared: the same on all gateways that have it, or not. */
  readonly value: string;
  readonly aside: string;
}

interface Row {
  readonly scope: string;
  readonly key: string;
  readonly cells: ReadonlyMap<string, readonly Cell[]>;
  readonly differs: boolean;
}

type Via = { readonly kind: string; readonly name: string } | null;
const viaText = (via: Via): string => (via === null ? "" : `${via.kind} ${via.name}`);

/** By scope and key; in the order of the first gateway that has it. */
function rowsOf({ gateways }: TablesSaid, of: Listed): Row[] {
  const rows = new Map<string, { scope: string; key: string; cells: Map<string, Cell[]> }>();
  const add = (node: string, scope: string, key: string, cell: Cell) => {
    const id = `${scope} ${key}`;
    const row = rows.get(id) ?? { scope, key, cells: new Map<string, Cell[]>() };
    row.cells.set(node, [...(row.cells.get(node) ?? []), cell]);
    rows.set(id, row);
  };
  for (const { node, neighbors, macs, routes } of gateways) {
    if (of === "neighbors")
      for (const { vsi, interface: on, vrf, ip, mac, via, kind, state, from } of neighbors)
        add(node, vsiText(vsi ?? on ?? "", vrf), ip, {
          value: mac ?? "…",
          aside: `${viaText(via)} ${kind === "host" ? state : kind}${from === null ? "" : `, from ${from}`}`,
        });
    if (of === "macs")
      for (const { vsi, mac, via, origin } of macs)
        add(node, vsi, mac, { value: viaText(via) || origin, aside: origin });
    if (of === "routes")
      for (const { vrf, prefix, action, interface: on, viaVrf, nextHops, origin } of routes) {
        const hops = nextHops.map(hopText).join(", ");
        const where = viaVrf == null ? "" : `VRF ${viaVrf} `;
        add(node, vrf, prefix, { value: `${where}${hops}`.trimEnd() || on || action, aside: origin });
      }
  }
  return [...rows.values()].map((row) => {
    // A host that is a neighbour and is answered for as well is said twice, and is the same host.
    const values = [...row.cells.values()].map((cells) =>
      [...new Set(cells.map(({ value }) => value))].sort().join(" "),
    );
    return { ...row, differs: new Set(values).size > 1 };
  });
}

type HopSaid = TablesSaid["gateways"][number]["routes"][number]["nextHops"][number];

/** "10.1.1.2", "10.1.1.2@b1" behind a tunnel, "50.1.1.1[isp] (priority 2) (dead)" by a track. */
function hopText({ ip, alive, tunnel, track, priority = 1 }: HopSaid): string {
  const name = `${ip}${tunnel == null ? "" : `@${tunnel}`}${track == null ? "" : `[${track}]`}`;
  return `${name}${priority > 1 ? ` (priority ${priority})` : ""}${alive ? "" : " (dead)"}`;
}

/** "vsi10", and of a host in another VRF than the default one "vsi30, VRF red". */
function vsiText(vsi: string, vrf: string | null | undefined): string {
  return vrf == null || vrf === "main" ? vsi : `${vsi}, VRF ${vrf}`;
}

/** Routes by VNI, the same route beside itself: announced by one gateway, used by others. */
function evpnRows({ gateways }: EvpnRoutesSaid): Row[] {
  const rows = new Map<string, { scope: string; key: string; cells: Map<string, Cell[]> }>();
  for (const { node, routes: all } of gateways)
    for (const { route, rd, direction, nextHop, vsi, vni, state, sequence, sticky, entries } of all) {
      const key = `${rd} ${route}`;
      const row = rows.get(key) ?? { scope: "", key, cells: new Map<string, Cell[]>() };
      if (vsi !== null && row.scope === "") row.scope = vni === null ? vsi : `VNI ${vni} ${vsi}`;
      const mark = sticky ? ", sticky" : sequence === null ? "" : `, sequence ${sequence}`;
      const aside = [direction === "in" ? `by ${nextHop}${mark}` : `ours${mark}`, ...entries].join("; ");
      row.cells.set(node, [...(row.cells.get(node) ?? []), { value: state, aside }]);
      rows.set(key, row);
    }
  const all = [...rows.values()].map((row) => ({ ...row, differs: false }));
  return all.sort((a, b) => (a.scope < b.scope ? -1 : a.scope > b.scope ? 1 : a.key < b.key ? -1 : 1));
}

interface Head {
  readonly node: string;
  readonly error: string | null;
  readonly left: number;
}

interface Table {
  readonly heads: readonly Head[];
  readonly rows: readonly Row[];
}

/** Null: not told yet. */
function tableOf(of: Kind): Table | null {
  if (of === "evpn") {
    const { value } = routes.said;
    return value === null ? null : { heads: value.gateways, rows: evpnRows(value) };
  }
  const { value } = tables.said;
  if (value === null) return null;
  const heads = value.gateways.map(({ node, error, left }) => ({ node, error, left: left[of] }));
  return { heads, rows: rowsOf(value, of) };
}

export function TablesView() {
  const isEvpn = kind.value === "evpn";
  tables.use(!isEvpn);
  routes.use(isEvpn);
  evpn.use();
  const table = tableOf(kind.value);
  const { failure } = isEvpn ? routes : tables;
  const matches = matcher(filter.value);
  const all = table?.rows ?? [];
  const kinds: readonly Kind[] = isEvpn || takesPart.value ? [...LISTED, "evpn"] : LISTED;
  const textOf = ({ scope, key, cells }: Row) =>
    `${scope} ${key} ${[...cells].map(([node, list]) => `${node} ${list.map((cell) => `${cell.value} ${cell.aside}`).join(" ")}`).join(" ")}`;
  const rows = all.filter((row) => (isEvpn || !differing.value || row.differs) && matches(textOf(row)));
  return (
    <section class="card" aria-labelledby="tables-title">
      <div class="bar">
        <h2 id="tables-title">Tables</h2>
        <fieldset class="choice">
          <legend>table</legend>
          {kinds.map((each) => (
            <label key={each} class="pick">
              <input type="radio" name="table" checked={kind.value === each} onChange={() => (kind.value = each)} />
              {TITLES[each]}
            </label>
          ))}
        </fieldset>
        <Filter of={filter} label="Filter the rows" example="20.1.1 vm5" />
        <label class="pick">
          <input
            type="checkbox"
            disabled={isEvpn}
            checked={differing.value && !isEvpn}
            onChange={({ currentTarget }) => (differing.value = currentTarget.checked)}
          />
          only what differs
        </label>
        <span class="quiet" role="status">{`${count(rows.length)} of ${count(all.length)} rows`}</span>
      </div>
      {failure.value !== null && <p class="bad">{sentence(failure.value.message)}</p>}
      {table !== null && <Grid heads={table.heads} rows={rows.slice(0, MOST_SHOWN)} of={kind.value} />}
      {rows.length > MOST_SHOWN && <p class="quiet">{`${count(rows.length - MOST_SHOWN)} more: narrow the filter.`}</p>}
    </section>
  );
}

const KEYS: Readonly<Record<Kind, readonly [scope: string, key: string]>> = {
  neighbors: ["VSI", "IP"],
  macs: ["VSI", "MAC"],
  routes: ["VRF", "prefix"],
  evpn: ["VNI", "RD and route"],
};

function Grid({ heads, rows, of }: Table & { readonly of: Kind }) {
  const [scope, key] = KEYS[of];
  return (
    <Scroll label="Rows of the tables" tall>
      <table class="grid" data-table={of}>
        <thead>
          <tr>
            <th scope="col">{scope}</th>
            <th scope="col">{key}</th>
            {heads.map(({ node, error, left }) => (
              <th key={node} scope="col">
                {name(node)}
                {error !== null && <span class="bad"> ✖ silent</span>}
                {left > 0 && (
                  <span class="quiet">{` ${of === "neighbors" ? "at least " : ""}${count(left)} more`}</span>
                )}
              </th>
            ))}
            <th scope="col">
              <span class="unseen">differs</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.scope} ${row.key}`} class={row.differs ? "differs" : ""}>
              <td>{name(row.scope)}</td>
              <th scope="row" class="mono">
                {sentence(row.key)}
              </th>
              {heads.map(({ node }) => (
                <td key={node} data-node={node}>
                  {(row.cells.get(node) ?? []).map((cell) => (
                    <div key={cell.value + cell.aside}>
                      <span class="mono">{name(cell.value)}</span>
                      {gatewayMacs.value.has(cell.value) && " "}
                      {gatewayMacs.value.has(cell.value) && (
                        <span class="owner">{name(gatewayMacs.value.get(cell.value))}</span>
                      )}{" "}
                      <span class="quiet beneath">{sentence(cell.aside)}</span>
                    </div>
                  ))}
                </td>
              ))}
              <td>
                {row.differs && (
                  <>
                    <Sign kind="warn" />
                    <span class="quiet"> differs</span>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
