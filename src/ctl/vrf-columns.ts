/** The table of `vtepctl show vrf`. */
import type { Vrf } from "../api/schema-vrf.ts";
import type { Column } from "./table.ts";

const LONG_LIST = 3;
const listText = (list: readonly string[]) => list.join(",");
const briefList = (list: readonly string[]) => (list.length > LONG_LIST ? `${list.length} of them` : listText(list));

/** "static 2, connected 1": those that there are. */
const routesText = ({ routes }: Vrf) =>
  listText(Object.entries(routes).flatMap(([origin, count]) => (count > 0 ? [`${origin} ${count}`] : [])));
const sum = ({ routes }: Vrf) => Object.values(routes).reduce((all, count) => all + count, 0);

export const VRF: readonly Column<Vrf>[] = [
  { title: "VRF", of: (row) => row.name },
  { title: "STATE", of: (row) => row.state },
  { title: "L3VNI", of: (row) => row.l3vni, right: true, rank: 2 },
  { title: "RD", of: (row) => row.rd, rank: 6 },
  { title: "IMPORT", of: (row) => listText(row.import), rank: 7 },
  { title: "EXPORT", of: (row) => listText(row.export), rank: 7 },
  { title: "ROUTER-MAC", of: (row) => row.routerMac, rank: 5 },
  { title: "VTEPS", of: (row) => row.vteps, right: true, rank: 4 },
  { title: "INTERFACES", of: (row) => listText(row.interfaces), brief: (row) => briefList(row.interfaces), rank: 3 },
  { title: "ROUTES", of: routesText, brief: sum, right: true, measured: true },
  { title: "NEIGHBORS", of: (row) => row.neighbors, right: true, rank: 1, measured: true },
  { title: "REASON", of: (row) => row.reason, rank: 0, measured: true, wraps: true },
];
