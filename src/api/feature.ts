/**
 * A feature: a part of the gateway that brings its own doors to those who ask about it. The daemon lists features
 * (daemon/features.ts) and knows nothing more of any of them, so a new one is a folder and a line there.
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Config } from "../control/plan.ts";
import type { Check } from "./schema-doctor.ts";

export type Labels = Record<string, string>;

/** A metric as data. Labels are names of the configuration or words of a list, never an address. */
export interface Row {
  readonly kind: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Its values at this moment, in base units. */
  readonly values: () => Iterable<readonly [labels: Labels, value: number]>;
}

/** One labelled series: counts of values up to and including each bound (not cumulative), count and sum of all. */
export interface Series {
  readonly labels: Readonly<Labels>;
  readonly buckets: readonly { readonly upTo: number; readonly count: number }[];
  readonly count: number;
  readonly sum: number;
}

/** A metric of how values are spread; what counts them is its owner's business. */
export interface HistogramRow {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: () => readonly Series[];
}

/** One examination of the running gateway; they run side by side, and each may take a second. */
export type Examination = () => readonly Check[] | Promise<readonly Check[]>;

/** One thing that readiness looks at. */
export interface Condition {
  readonly what: string;
  readonly isMet: boolean;
  /** Otherwise it is only told. */
  readonly isRequired: boolean;
  readonly text: string;
}

export interface Feature {
  /** Declares its routes of the API, each with its schemas. */
  readonly routes?: (app: OpenAPIHono) => void;
  readonly rows?: readonly Row[];
  readonly histograms?: readonly HistogramRow[];
  /** What the doctor tells of it, in this order. */
  readonly checks?: readonly Examination[];
  /** What must hold, besides what the daemon looks at itself, until frames may be sent to us; asked with each look at `/readyz`. */
  readonly conditions?: () => readonly Condition[];
  /** Once a second, from when the gateway is ready on. */
  readonly everySecond?: () => void;
  /** A reload is in force. */
  readonly applied?: (config: Config) => void;
  /** The process ends, and waits for it. */
  readonly close?: () => void | Promise<void>;
}
