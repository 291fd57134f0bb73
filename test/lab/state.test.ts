import { describe, expect, it } from "vitest";
import { labsToEnd } from "../../src/lab/state.ts";

describe("down", () => {
  it("takes the one lab that is up, the one that is named, or all where all are meant", () => {
    expect(labsToEnd([], undefined, false)).toEqual([]);
    expect(labsToEnd(["lab"], undefined, false)).toEqual(["lab"]);
    expect(labsToEnd(["lab", "lab2"], "lab2", false)).toEqual(["lab2"]);
    expect(labsToEnd(["lab", "lab2"], undefined, true)).toEqual(["lab", "lab2"]);
  });

  it("does not take another's lab by accident", () => {
    expect(() => labsToEnd(["lab", "lab2"], undefined, false)).toThrow(
      "several labs are up (lab, lab2); say which with --name, or --all",
    );
  });
});
