/** Circles in a graph of imports: sets of nodes of which each reaches each other one (Tarjan's strongly connected components). */

export type Graph = ReadonlyMap<string, ReadonlySet<string>>;

/** The graph of rooms that a graph of files makes; files whose room is null are left out, and so are imports within a room. */
export function roomsOf(files: Graph, roomOf: (path: string) => string | null): Graph {
  const rooms = new Map<string, Set<string>>();
  for (const [path, imported] of files) {
    const room = roomOf(path);
    if (room === null) continue;
    const others = rooms.get(room) ?? new Set<string>();
    rooms.set(room, others);
    for (const other of [...imported].map(roomOf)) if (other !== null && other !== room) others.add(other);
  }
  return rooms;
}

/** Each circle as its members, sorted; [] where there is none. */
export function circlesOf(graph: Graph): string[][] {
  const circles: string[][] = [];
  const number = new Map<string, number>();
  const low = new Map<string, number>();
  const path: string[] = [];
  const visit = (node: string): void => {
    number.set(node, number.size);
    low.set(node, number.get(node)!);
    path.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!number.has(next)) visit(next);
      if (path.includes(next)) low.set(node, Math.min(low.get(node)!, low.get(next)!));
    }
    if (low.get(node) !== number.get(node)) return;
    const members = path.splice(path.indexOf(node));
    if (members.length > 1 || graph.get(node)?.has(node)) circles.push(members.sort());
  };
  for (const node of graph.keys()) if (!number.has(node)) visit(node);
  return circles;
}
