/** The pages: what is generated is what the code says, what is linked exists, and the README stays a page one reads. */
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { files, ROOT, read } from "../house/source.ts";
import { filled, PARTS } from "./generate.ts";

const PAGES = ["README.md", ...files("docs", /\.md$/), ...["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]].filter(
  (path) => existsSync(join(ROOT, path)),
);

describe("what is generated", () => {
  it.each(PARTS)("$page: $mark is what the code says", async ({ page, mark, make }) => {
    const now = filled(read(page), mark, await make());
    expect(now, `${page} has <!-- ${mark} --> and <!-- /${mark} -->`).not.toBeNull();
    // VTEPD_WRITE=1 writes it.
    if (process.env.VTEPD_WRITE === "1") writeFileSync(join(ROOT, page), now!);
    expect(read(page)).toBe(now);
  });

  it("a page without its marks is noticed", () => {
    expect(filled("a\n<!-- x -->\nold\n<!-- /x -->\nb\n", "x", "new\n")).toBe("a\n<!-- x -->\nnew\n<!-- /x -->\nb\n");
    expect(filled("a\n", "x", "new\n")).toBeNull();
    expect(filled("<!-- /x -->\n<!-- x -->\n", "x", "new\n")).toBeNull();
  });
});

describe("links", () => {
  /** GitHub's name of a heading. */
  const anchorOf = (heading: string): string =>
    heading
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-");
  const anchors = (path: string): Set<string> => {
    const counts = new Map<string, number>();
    const prose = read(path).replace(/^```[\s\S]*?^```/gm, "");
    return new Set(
      [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => {
        const name = anchorOf(heading!);
        const before = counts.get(name) ?? 0;
        counts.set(name, before + 1);
        return before === 0 ? name : `${name}-${before}`;
      }),
    );
  };

  it.each(PAGES)("%s links to files and headings that exist", (path) => {
    const prose = read(path).replace(/^```[\s\S]*?^```/gm, "");
    const wrong = [...prose.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].flatMap(([, link]) => {
      const [file, anchor] = link!.split("#") as [string, string?];
      const target = file === "" ? path : join(dirname(path), file);
      if (!existsSync(join(ROOT, target))) return [`${link}: no such file`];
      return anchor === undefined || anchors(target).has(anchor) ? [] : [`${link}: no such heading`];
    });
    expect(wrong).toEqual([]);
  });

  it("the README, or a page it links to, leads to each page", () => {
    const seen = new Set(["README.md"]);
    for (const path of seen)
      for (const [, link] of read(path).matchAll(/\]\((?!https?:)([^)\s#]+\.md)[^)]*\)/g))
        seen.add(join(dirname(path), link!));
    expect(PAGES.filter((path) => !seen.has(path))).toEqual([]);
  });
});

describe("the README", () => {
  it("has at most 150 lines", () => {
    expect(read("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(150);
  });

  it("has no line that a terminal or a reviewer cannot take in", () => {
    expect(
      read("README.md")
        .split("\n")
        .filter((line) => line.length > 200),
    ).toEqual([]);
  });
});

describe("test/README.md", () => {
  const page = read("test/README.md");

  it("has a row for each code that a test names, and no other", () => {
    const tests = files("test").filter((path) => !path.startsWith("test/pages/"));
    // B10 and P10 are MACs of control's notation.
    const named = new Set(tests.flatMap((path) => read(path).match(/\b[ACFILMORSTW]\d\d\b|\bB0\d\b/g) ?? []));
    const rows = [...page.matchAll(/^\| ([A-Z]\d\d) \| .{10,} \|$/gm)].map(([, code]) => code!);
    expect(named.size).toBeGreaterThan(40);
    expect([...named].toSorted()).toEqual(rows.toSorted());
  });

  it("names beds that exist, and all of them", () => {
    const rows = page.slice(page.indexOf("## Beds"), page.indexOf("## Notations"));
    const beds = [...rows.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell]) => cell!.match(/[\w/-]+\.ts/g) ?? []);
    const made = files("test", /(^|-)bed\.ts$|^(rig|world|sites|article|gateways|fake-source)\.ts$/).map((path) =>
      path.slice("test/".length),
    );
    expect(beds.toSorted()).toEqual(made.filter((path) => path !== "control/inventory-bed.ts").toSorted());
  });
});
