/**
 * The rules of the house that a machine can check: floors, sizes, names, and what may stand in the path of a frame.
 */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DROPS } from "../src/tables/counters.ts";
import { circlesOf, roomsOf } from "./house/circles.ts";
import { codeOf, files, hotLines, importsOf, ROOT, read } from "./house/source.ts";

const SOURCES = files("src", /\.tsx?$/);

/** Which room may import which, its own aside: the floors of the house, lowest first. main.ts composes, and may know everybody. */
const FLOORS: Record<string, readonly string[]> = {
  wire: [],
  tables: ["wire"],
  io: ["tables", "wire"],
  dataplane: ["wire", "tables", "io"],
  control: ["wire", "tables"],
  evpn: ["wire", "tables", "control"],
  bgp: ["wire", "evpn"],
  config: ["wire", "control"],
  log: ["wire", "control", "tables"],
  api: ["config", "control", "log", "tables", "wire"],
  metrics: ["api", "control", "tables"],
  attach: ["api", "control", "io", "log"],
  scheduling: ["api", "control", "io"],
  liveness: ["api", "control", "io", "tables", "wire"],
  insight: ["api", "control", "dataplane", "io", "tables", "wire"],
  doctor: ["api", "config", "control", "io", "liveness", "tables", "wire"],
  ctl: ["api", "attach", "wire"],
  web: ["api", "ctl", "wire"],
  page: ["api", "web"],
  lab: ["ctl", "web", "wire"],
  daemon: [
    ...["wire", "tables", "io", "dataplane", "control", "config", "log", "api", "metrics", "attach", "liveness"],
    ...["insight", "doctor", "evpn", "bgp", "scheduling"],
  ],
};

/** Doors between floors that are open for a reason; each is one file and what it may reach. */
const DOORS: readonly (readonly [RegExp, RegExp, string])[] = [
  [
    /^src\/ctl\/(attach|hold|gateway-user)\.ts$/,
    /^src\/io\/(addon|handover|native|tap)\.ts$/,
    "attach makes a TAP and hands its fd over",
  ],
  [
    /^src\/ctl\/(capture-iface|doctor)\.ts$/,
    /^src\/io\/how-to-build\.ts$/,
    "what is not built is told as the doctor tells it",
  ],
  [/^src\/ctl\/evpn\.ts$/, /^src\/bgp\/retire\.ts$/, "routes are taken back without a daemon"],
  [/^src\/ctl\/attach\.ts$/, /^src\/config\/address\.ts$/, "a MAC on the command line is read like one in the file"],
  [/^src\/ctl\/(command-line|man-config)\.ts$/, /^src\/config\/json-schema\.ts$/, "vtepd.yaml(5) is the schema"],
  [
    /^src\/ctl\/command-line\.ts$/,
    /^src\/daemon\/command-line\.ts$/,
    "vtepd(8) is made from vtepd's own tree of commands",
  ],
];

/** Imports of one file that stay inside src, as paths from the root. */
function inner(path: string): { to: string; isType: boolean; names: string }[] {
  return importsOf(read(path))
    .filter((i) => i.from.startsWith("."))
    .map((i) => ({ ...i, to: new URL(i.from, `file:///${path}`).pathname.slice(1) }));
}

/** The page of `vtepctl web` is a floor of its own: it runs in a browser. */
function floorOf(path: string): string {
  if (path.startsWith("src/web/page/")) return "page";
  return path.split("/").length === 2 ? "main" : path.split("/")[1]!;
}

describe("floors", () => {
  it("every folder of src is a floor, and every import resolves to a file", () => {
    const folders = new Set(SOURCES.map(floorOf));
    folders.delete("main");
    expect([...folders].filter((folder) => FLOORS[folder] === undefined)).toEqual([]);
    const missing = SOURCES.flatMap((path) =>
      inner(path)
        .filter((i) => !SOURCES.includes(i.to))
        .map((i) => `${path}: ${i.to}`),
    );
    expect(missing).toEqual([]);
  });

  it("no import comes from a floor that must not be known, not even of a type", () => {
    const wrong: string[] = [];
    for (const path of SOURCES) {
      const floor = floorOf(path);
      if (floor === "main") continue;
      for (const { to } of inner(path)) {
        const target = floorOf(to);
        if (target === floor || FLOORS[floor]!.includes(target)) continue;
        if (!DOORS.some(([who, what]) => who.test(path) && what.test(to))) wrong.push(`${path} imports ${to}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("nothing imports itself by a detour, not even a type: no file, no folder of src, and no wing of control", () => {
    const imports = new Map(SOURCES.map((path) => [path, new Set(inner(path).map(({ to }) => to))]));
    // What lies in control/ itself is the floor under its wings, or composes them (agent.ts).
    const wingOf = (path: string) => (/^src\/control\/\w+\//.test(path) ? path.split("/")[2]! : null);
    const a = new Set(["b"]);
    expect(circlesOf(new Map(Object.entries({ a, b: new Set(["c"]), c: new Set(["a", "d"]), d: a })))).toEqual([
      ["a", "b", "c", "d"],
    ]);
    expect(circlesOf(new Map(Object.entries({ a, b: new Set(["c", "d"]), c: new Set(["d"]) })))).toEqual([]);
    expect(circlesOf(imports)).toEqual([]);
    expect(circlesOf(roomsOf(imports, floorOf))).toEqual([]);
    expect([...roomsOf(imports, wingOf).keys()].length).toBeGreaterThan(4);
    expect(circlesOf(roomsOf(imports, wingOf))).toEqual([]);
  });

  it("of the io, the data plane knows the contract and the pool; only worker.ts makes a real one and asks for a thread's priority", () => {
    const wrong = SOURCES.filter((path) => floorOf(path) === "dataplane").flatMap((path) =>
      inner(path)
        .filter((i) => floorOf(i.to) === "io" && !/\/(port-io|pool)\.ts$/.test(i.to))
        .filter((i) => !(path.endsWith("/worker.ts") && /\/(native|thread|young-generation)\.ts$/.test(i.to)))
        .map((i) => `${path} imports ${i.to}`),
    );
    expect(wrong).toEqual([]);
  });

  it("of what stands below them, ctl and the lab know types, schemas and protocols alone", () => {
    const wrong = SOURCES.filter((path) => ["ctl", "lab"].includes(floorOf(path))).flatMap((path) =>
      inner(path)
        .filter((i) => ["api", "attach", "config"].includes(floorOf(i.to)) && !i.isType)
        .filter((i) => !/\/(schema(-\w+)?|protocol)\.ts$/.test(i.to))
        .filter((i) => !DOORS.some(([who, what]) => who.test(path) && what.test(i.to)))
        .map((i) => `${path} imports ${i.to}`),
    );
    expect(wrong).toEqual([]);
  });

  it("the page knows types alone of what runs elsewhere, and puts nothing but text nodes into the document", () => {
    const pages = SOURCES.filter((path) => floorOf(path) === "page");
    const outside = pages.flatMap((path) =>
      inner(path)
        .filter((i) => floorOf(i.to) !== "page" && !(i.isType && /\/(said(-\w+)?|schema(-\w+)?)\.ts$/.test(i.to)))
        .map((i) => `${path} imports ${i.to}`),
    );
    expect(outside).toEqual([]);
    const MARKUP =
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|createContextualFragment/;
    expect(pages.filter((path) => MARKUP.test(read(path)))).toEqual([]);
  });

  it("configuration, API, metrics and vtepctl know text alone (addresses, what may be printed): they handle no frames", () => {
    const wrong = SOURCES.filter((path) => ["config", "log", "api", "metrics", "ctl"].includes(floorOf(path))).flatMap(
      (path) =>
        inner(path)
          .filter(
            (i) => floorOf(i.to) === "wire" && !/\/(ethernet|ipv4|ipv6|plural|printable|some-names)\.ts$/.test(i.to),
          )
          .map((i) => `${path} imports ${i.to}`),
    );
    expect(wrong).toEqual([]);
  });

  it("of EVPN, the engine's client knows routes alone", () => {
    const wrong = SOURCES.filter((path) => floorOf(path) === "bgp").flatMap((path) =>
      inner(path)
        .filter((i) => floorOf(i.to) === "evpn" && !i.to.endsWith("/route.ts"))
        .map((i) => `${path} imports ${i.to}`),
    );
    expect(wrong).toEqual([]);
  });

  it("nothing but main.ts stands at the root", () => {
    expect(SOURCES.filter((path) => path.split("/").length === 2)).toEqual(["src/main.ts"]);
  });

  it("the lower floors need no package and no part of Node that talks to the world", () => {
    const allowed: Record<string, RegExp> = {
      wire: /^$/,
      tables: /^$/,
      io: /^node:(os|module|util|net|path|fs|url|v8)$/,
      dataplane: /^node:worker_threads$/,
      control: /^node:crypto$/,
      evpn: /^$/,
    };
    const wrong = SOURCES.filter((path) => allowed[floorOf(path)] !== undefined).flatMap((path) =>
      importsOf(read(path))
        .filter((i) => !i.from.startsWith(".") && !allowed[floorOf(path)]!.test(i.from))
        .map((i) => `${path} imports ${i.from}`),
    );
    expect(wrong).toEqual([]);
  });

  it("time and chance are arguments below the top: no file there reads a clock or a random number", () => {
    const asks = /\bDate\b|\bperformance\b|\bset(Timeout|Interval|Immediate)\b|\bMath\.random\b|\bhrtime\b|\bprocess\./;
    const wrong = SOURCES.filter((path) =>
      ["wire", "tables", "dataplane", "control", "evpn"].includes(floorOf(path)),
    ).flatMap((path) =>
      codeOf(read(path))
        .split("\n")
        .flatMap((line, n) => (asks.test(line) ? [`${path}:${n + 1}: ${line.trim()}`] : [])),
    );
    expect(wrong).toEqual([]);
  });
});

describe("files", () => {
  const ours = [...SOURCES, ...files("native-bindings", /\.(cc|h|gyp)$/), ...files("test", /\.(ts|mjs|cc|h)$/)];

  it("none is longer than 400 lines", () => {
    const long = ours
      .map((path) => [path, read(path).split("\n").length - 1] as const)
      .filter(([, lines]) => lines > 400);
    expect(long.map(([path, lines]) => `${path}: ${lines}`)).toEqual([]);
  });

  it("none is named after nothing, and none is a barrel", () => {
    const empty = /(^|[/-])(utils?|commons?|helpers?|types?|misc|shared|lib|index)(\.|\/|-|$)/;
    expect(ours.filter((path) => empty.test(path))).toEqual([]);
    const barrels = SOURCES.filter((path) => {
      const lines = codeOf(read(path))
        .split("\n")
        .filter((line) => line.trim() !== "");
      return lines.length > 0 && lines.every((line) => /^export\b.*\bfrom\b/.test(line));
    });
    expect(barrels).toEqual([]);
  });

  it("a number and its noun agree by one function, wire/plural.ts", () => {
    const byHand = /=== 1 \? ("" : "s"|"y" :|"s" :|one : many)/;
    expect(SOURCES.filter((path) => path !== "src/wire/plural.ts" && byHand.test(read(path)))).toEqual([]);
    expect(byHand.test(read("src/wire/plural.ts"))).toBe(true);
  });

  it("no two classes of src have one name", () => {
    const homes = new Map<string, string[]>();
    for (const path of SOURCES)
      for (const [, name] of codeOf(read(path)).matchAll(/\bclass (\w+)/g))
        homes.set(name!, [...(homes.get(name!) ?? []), path]);
    expect(homes.size).toBeGreaterThan(100);
    expect([...homes].filter(([, paths]) => paths.length > 1)).toEqual([]);
  });

  it("names are kebab-case", () => {
    expect(ours.filter((path) => !/^[a-z0-9/.-]+$/.test(path))).toEqual([]);
  });

  it("no default exports, no inheritance but of Error, and each source opens with its theory", () => {
    const tolerated = ["test/vitest.config.ts", "test/plain-reporter.ts"];
    const typescript = ours.filter((path) => /\.tsx?$/.test(path));
    const withDefault = typescript.filter((path) => /^export\s+default\b|\bas default\b/m.test(codeOf(read(path))));
    expect(withDefault.filter((path) => !tolerated.includes(path))).toEqual([]);
    const inherits = SOURCES.filter((path) =>
      /\bclass\s+\w+(<[^{]*>)?\s+extends\s+(?!Error\b)/.test(codeOf(read(path))),
    );
    expect(inherits).toEqual([]);
    expect(SOURCES.filter((path) => !/^(#!.*\n)?\/\*\*/.test(read(path)))).toEqual([]);
  });

  it("the top level is what it was agreed to be", () => {
    const allowed =
      "package.json package-lock.json tsconfig.json src native-bindings docker test docs README.md LICENSE deploy CHANGELOG.md CONTRIBUTING.md SECURITY.md";
    const made = ["node_modules", "dist", "release"];
    const top = readdirSync(ROOT).filter((name) => !name.startsWith(".") && !made.includes(name));
    expect(top.filter((name) => !allowed.split(" ").includes(name))).toEqual([]);
  });
});

describe("the path of a frame", () => {
  /** What costs an allocation, an unoptimised function or a heap number, outside constructors and the thread's own life. */
  const COSTLY: readonly (readonly [RegExp, string])[] = [
    [/\bnew\b/, "new"],
    [/=>|\bfunction\s*\(/, "a closure"],
    [/\.\.\./, "spread"],
    [/\btry\b|\bcatch\b/, "try"],
    [/\basync\b|\bawait\b|\byield\b/, "async"],
    [/\bBigInt\b|\b\d+n\b/, "BigInt"],
    [/\.subarray\b|\.slice\b|\.map\b|\.filter\b|\.forEach\b/, "a copy or a walk with a callback"],
    [/>>>\s*0\b/, ">>> 0"],
    [/(=|return|\(|,)\s*\[/, "an array literal"],
    [/(=|return)\s*\{/, "an object literal"],
    [/\bfor\s*\(\s*(const|let)\s+\w+\s+(of|in)\b/, "for of"],
  ];
  const costs = (text: string): string[] =>
    hotLines(codeOf(text)).flatMap(({ line, text: code }) =>
      COSTLY.filter(([pattern]) => pattern.test(code)).map(([, what]) => `${line}: ${what}: ${code.trim()}`),
    );

  it("the check itself sees what it should, and only that", () => {
    const sample = (body: string): number => costs(`export function f(x: number): number {\n${body}\n}\n`).length;
    for (const bad of [
      "  const a = new Map();",
      "  return g(() => x);",
      "  return g(...x);",
      "  try {\n    g();\n  } finally {\n  }",
      "  return 10n;",
      "  return x >>> 0;",
      "  if (x) {\n    return b.subarray(1);\n  }",
      "  const pair = [1, 2];",
      "  return { a: 1 };",
      "  for (const y of z) g(y);",
    ])
      expect(sample(bad), bad).toBeGreaterThan(0);
    for (const good of ["  return x >>> 8; // new", '  g("new () => ...");', "  const { a } = b;", "  return b[i]!;"])
      expect(sample(good), good).toBe(0);
    expect(costs("export class A {\n  b = new B();\n  constructor(c: C) {\n    this.d = new D(c);\n  }\n}\n")).toEqual(
      [],
    );
    expect(costs("export class A {\n  d(): D {\n    return new D();\n  }\n}\n")).toHaveLength(1);
  });

  /** What runs for a frame: plane.ts and all of dataplane/ that it reaches. The thread's life and what-if walks are not among it. */
  function reached(): string[] {
    const found = new Set(["src/dataplane/plane.ts"]);
    for (const path of found) for (const { to } of inner(path)) if (floorOf(to) === "dataplane") found.add(to);
    return [...found];
  }

  it("is at least the stages that pipeline.ts names", () => {
    const stages = "pipeline frame ingress bridge route flood egress punt inject policy policer settle told".split(" ");
    expect(reached()).toEqual(expect.arrayContaining(stages.map((stage) => `src/dataplane/${stage}.ts`)));
  });

  it("nothing on it allocates or calls what V8 cannot make cheap", () => {
    expect(reached().flatMap((path) => costs(read(path)).map((cost) => `${path}:${cost}`))).toEqual([]);
  });
});

describe("metrics", () => {
  it("every one that an alert rule or a dashboard names exists, and every reason it names is a drop reason", () => {
    const texts = files("deploy", /\.(ya?ml|json)$/).map(read);
    const named = new Set(texts.flatMap((text) => text.match(/\bvtep_[a-z_]+\b/g) ?? []));
    expect(named.size).toBeGreaterThan(0);
    // A name in the registry is a literal, or has one word that differs (vtep_${what}_receive_…).
    const known = SOURCES.flatMap((path) => read(path).match(/\bvtep_[a-z_]*(\$\{\w+\}[a-z_]*)*/g) ?? []).map(
      (name) => new RegExp(`^${name.replace(/\$\{\w+\}/g, "[a-z]+")}(_bucket|_sum|_count)?$`),
    );
    expect([...named].filter((name) => !known.some((pattern) => pattern.test(name)))).toEqual([]);
    const reasons = texts.flatMap((text) =>
      [...text.matchAll(/reason=~?\\?"([a-z0-9_|]+)\\?"/g)].flatMap(([, list]) => list!.split("|")),
    );
    expect(reasons.filter((name) => !DROPS.some(([reason]) => reason === name))).toEqual([]);
  });
});

describe("drop reasons", () => {
  it("each is hit by a test somewhere", () => {
    const lists = ["test/tables/counters.test.ts", "test/house.test.ts"];
    const tests = files("test", /\.test\.ts$/).filter((path) => !lists.includes(path));
    const words = new Set(tests.flatMap((path) => read(path).match(/\b[a-z0-9_]+\b/g) ?? []));
    expect(DROPS.map(([name]) => name as string).filter((name) => !words.has(name))).toEqual([]);
  });
});

describe("what comments cite", () => {
  const cited = [...files("src"), ...files("test"), ...files("native-bindings", /\.(cc|h)$/)];
  const pages = new Map(files("docs", /\.md$/).map((path) => [path.split("/").at(-1)!, read(path)]));
  const behaviour = pages.get("behaviour.md") ?? "";

  it("a page that is named exists", () => {
    const known = new Set([...pages.keys(), "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]);
    const wrong = cited.flatMap((path) =>
      [...read(path).matchAll(/\b[\w-]+\.md\b/g)]
        .filter(([name]) => !known.has(name))
        .map(([name]) => `${path}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  /** "2.1" is a heading; "3.8" may be the eighth rule of section 3. */
  function has(section: string): boolean {
    if (new RegExp(`^#+ ${section.replace(".", "\\.")}\\.? `, "m").test(behaviour)) return true;
    const [part, rule] = section.split(".");
    const from = behaviour.indexOf(`\n## ${part}. `);
    if (rule === undefined || from < 0) return false;
    const end = behaviour.indexOf("\n## ", from + 1);
    return behaviour.slice(from, end < 0 ? undefined : end).includes(`\n${rule}. `);
  }

  it("a section of behaviour.md that is named exists", () => {
    expect([has("3.8"), has("2.1"), has("3.99"), has("99")]).toEqual([true, true, false, false]);
    const wrong = cited.flatMap((path) =>
      [...read(path).matchAll(/behaviour\.md[\s*/]+§([\d.]*\d)/g)]
        .filter(([, section]) => !has(section!))
        .map(([all]) => `${path}: ${all}`),
    );
    expect(wrong).toEqual([]);
  });

  it("a decision (D1) or a thing that must not be (N1) that is named exists", () => {
    const codes = new Set(behaviour.match(/^\| [DN]\d+ /gm)?.map((row) => row.slice(2).trim()));
    expect(codes.size).toBeGreaterThan(20);
    const wrong = files("src").flatMap((path) =>
      [...read(path).matchAll(/\(([DN]\d+)[,)]/g)]
        .filter(([, code]) => !codes.has(code!))
        .map(([all]) => `${path}: ${all}`),
    );
    expect(wrong).toEqual([]);
  });
});
