/** Asking for a configuration file to be read: by a thread that lives on, that cannot be had, that dies, that hangs. */
import { describe, expect, it } from "vitest";
import type { ParseResult } from "../../src/config/load.ts";
import { ConfigReader, type ConfigThread, Unreadable } from "../../src/config/reader.ts";

const RESULT: ParseResult = { errors: [] };

/** A thread that does as the test says. */
class Fake {
  readonly asked: string[] = [];
  isTerminated = false;
  private readonly listeners = new Map<string, (value: unknown) => void>();
  on(event: string, listener: (value: never) => void): this {
    this.listeners.set(event, listener as (value: unknown) => void);
    return this;
  }
  postMessage(file: string): void {
    this.asked.push(file);
  }
  async terminate(): Promise<number> {
    this.isTerminated = true;
    return 1;
  }
  ref(): void {}
  unref(): void {}
  say(event: "message" | "error" | "exit", value: unknown): void {
    this.listeners.get(event)!(value);
  }
}

function bed(patienceMs?: number) {
  const threads: Fake[] = [];
  const start = () => {
    threads.push(new Fake());
    return threads.at(-1) as unknown as ConfigThread;
  };
  return { threads, reader: new ConfigReader(start, patienceMs) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("the thread that reads files", () => {
  it("lives on from one file to the next, and reads one at a time", async () => {
    const { threads, reader } = bed();
    const [a, b] = [reader.read("a"), reader.read("b")];
    await turn();
    expect(threads.map(({ asked }) => asked)).toEqual([["a"]]);
    threads[0]!.say("message", RESULT);
    expect(await a).toBe(RESULT);
    await turn();
    expect(threads.map(({ asked }) => asked)).toEqual([["a", "b"]]);
    threads[0]!.say("message", RESULT);
    expect(await b).toBe(RESULT);
  });

  it("is asked once by all who wait for the same file", async () => {
    const { threads, reader } = bed();
    const first = reader.read("a");
    await turn();
    const others = Array.from({ length: 300 }, () => reader.read("a"));
    threads[0]!.say("message", RESULT);
    await first;
    await turn();
    threads[0]!.say("message", RESULT);
    await Promise.all(others);
    expect(threads[0]!.asked).toEqual(["a", "a"]);
  });

  it("that cannot start or dies is an answer, and the next file gets another one", async () => {
    const { threads, reader } = bed();
    const dies = reader.read("a");
    await turn();
    threads[0]!.say("error", new Error("EMFILE"));
    await expect(dies).rejects.toThrow(Unreadable);
    const ends = reader.read("b");
    await turn();
    threads[1]!.say("exit", 1);
    await expect(ends).rejects.toThrow(/ended with code 1/);
    const reads = reader.read("c");
    await turn();
    threads[0]!.say("exit", 1);
    threads[2]!.say("message", RESULT);
    expect(await reads).toBe(RESULT);
    const impossible = new ConfigReader(() => {
      throw new Error("no more processes");
    });
    await expect(impossible.read("d")).rejects.toThrow(/no more processes/);
  });

  it("that hangs is ended", async () => {
    const { threads, reader } = bed(20);
    await expect(reader.read("a")).rejects.toThrow(/no answer within 0.02 s/);
    expect(threads[0]!.isTerminated).toBe(true);
  });
});
