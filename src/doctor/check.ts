/** A line of an examination: how the doctor's checks say what they found. */
import type { Check } from "../api/schema-doctor.ts";

/** @param name what was looked at: a stable key. */
export const ok = (name: string, text: string): Check => ({ name, result: "ok", text, fix: null });
/** It works, and not as it should. */
export const warn = (name: string, text: string, fix: string): Check => ({ name, result: "warn", text, fix });
/** It does not work: the exit code is 7. */
export const fail = (name: string, text: string, fix: string): Check => ({ name, result: "fail", text, fix });
