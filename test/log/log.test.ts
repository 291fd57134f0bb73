/** The log: stable keys, one line per event, and a flood that stays a trickle. */
import { describe, expect, it } from "vitest";
import { BURST_LINES, createLog, LINES_PER_SECOND, type LogOptions } from "../../src/log/log.ts";

function bench(options: Partial<LogOptions> = {}) {
  const written: string[] = [];
  const clock = { now: 0 };
  const log = createLog({
    level: "info",
    format: "json",
    base: { node: "gw1" },
    stream: { write: (line) => void written.push(line) },
    now: () => clock.now,
    ...options,
  });
  const lines = () => written.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log, written, lines, clock };
}

describe("a line of the log", () => {
  it("is one JSON object with time, level, node, event and fields", () => {
    const { log, written, lines } = bench();
    log.emit("info", "neighbor.learned", { interface: "vsi-interface10", ip: "10.1.1.11" });
    expect(written).toHaveLength(1);
    expect(written[0]!.endsWith("}\n")).toBe(true);
    const { time, ...rest } = lines()[0]!;
    expect(new Date(time as string).getTime()).toBeGreaterThan(0);
    expect(rest).toEqual({
      level: "info",
      node: "gw1",
      event: "neighbor.learned",
      interface: "vsi-interface10",
      ip: "10.1.1.11",
    });
  });

  it("is not written below the level, which can change", () => {
    const { log, lines } = bench();
    log.emit("debug", "mac.learned", {});
    log.setLevel("debug");
    log.emit("debug", "mac.aged", {});
    expect(lines().map((line) => line.event)).toEqual(["mac.aged"]);
  });

  it("is made for people where that is asked, and cannot move their cursor", () => {
    const { log, written } = bench({ format: "pretty", colour: false });
    log.line("warn", "config.rejected", { path: "a\u001b[2Jb", line: 3 });
    expect(written[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}config\.rejected {2}path=a·\[2Jb line=3\n$/);
  });

  it("shows a stack on lines of its own", () => {
    const { log, written } = bench({ format: "pretty", colour: false });
    log.line("error", "crash", { message: "boom", stack: "Error: boom\n    at here" });
    expect(written[0]!.split("\n").slice(1)).toEqual(["    Error: boom", "        at here", ""]);
  });
});

describe("a flood of events", () => {
  it("is ten lines a second for each reason, and the number left out", () => {
    const { log, lines, clock } = bench();
    for (let i = 0; i < 1000; i++) log.emit("warn", "drop.burst", { reason: "no_route", i });
    for (let i = 0; i < 3; i++) log.emit("warn", "drop.burst", { reason: "runt", i });
    expect(lines().filter((line) => line.reason === "no_route")).toHaveLength(LINES_PER_SECOND);
    expect(lines().filter((line) => line.reason === "runt")).toHaveLength(3);
    clock.now = 1000;
    log.emit("warn", "drop.burst", { reason: "no_route", i: 1000 });
    const after = lines().slice(LINES_PER_SECOND + 3);
    expect(after[0]).toMatchObject({ event: "drop.burst", suppressed: 1000 - LINES_PER_SECOND });
    expect(after[1]).toMatchObject({ i: 1000 });
    expect(after).toHaveLength(2);
  });

  it("is told about even when nothing follows it", async () => {
    const { log, lines } = bench({ now: () => performance.now() });
    for (let i = 0; i < 50; i++) log.emit("info", "mac.moved", { i });
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(lines().at(-1)).toMatchObject({ event: "mac.moved", suppressed: 40 });
  });

  it("that goes on for hours is a line now and then, and the sum of what was left out", () => {
    const { log, written, lines, clock } = bench();
    let sent = 0;
    for (let second = 0; second < 3600; second++) {
      for (let i = 0; i < 100; i++) {
        clock.now = second * 1000 + i * 10;
        for (const event of ["mac.moved", "neighbor.moved", "mac.damped"] as const)
          log.emit("info", event, { vsi: "vsi10", mac: "02:00:00:00:00:01", from: "vm1", to: "gw2" });
        sent += 3;
      }
    }
    expect(written.join("").length).toBeLessThan(1_000_000);
    const told = lines().reduce((sum, { suppressed }) => sum + (suppressed === undefined ? 1 : Number(suppressed)), 0);
    // The last minute's are told when it is over.
    expect(told).toBeGreaterThan(sent - 3 * 100 * 61);
    expect(told).toBeLessThanOrEqual(sent);
    expect(lines().filter(({ suppressed }) => suppressed === undefined).length).toBeGreaterThan(3 * BURST_LINES);
  });

  it("is whole at level debug, but for the ten lines a second", () => {
    const { log, lines, clock } = bench({ level: "debug" });
    for (let n = 0; n < 600; n++) {
      clock.now = n * 100;
      log.emit("debug", "mac.learned", { n });
    }
    expect(lines()).toHaveLength(600);
  });

  it("never hides an error", () => {
    const { log, lines } = bench();
    for (let i = 0; i < 100; i++) log.emit("error", "config.rejected", { i });
    expect(lines()).toHaveLength(100);
  });

  it("of many different reasons does not fill the memory", () => {
    const { log, lines } = bench();
    for (let i = 0; i < 10_000; i++) log.emit("info", "drop", { reason: `reason ${i}` });
    expect(lines().length).toBeLessThanOrEqual(256 + LINES_PER_SECOND);
  });
});
