/** What differs between the versions of gobgpd's API; gobgp3.ts and gobgp4.ts are the two. */
import type protobuf from "protobufjs";

/** A decoded message; what was not sent has its default. */
export type Fields = Readonly<Record<string, unknown>>;

/** One of several messages: which, and what it says. `fields` is null for a kind that is not used here. */
export interface Wrapped {
  readonly name: string;
  readonly fields: Fields | null;
}

export interface Dialect {
  readonly name: "v3" | "v4";
  /** "/package.Service/": the method's name follows. */
  readonly service: string;
  /** The number of the first value of an enumeration. */
  readonly enumBase: 0 | 1;
  /** A message by its name. */
  type(name: string): protobuf.Type;
  /** The message `name` in a place for one of several. */
  wrap(name: string, fields: Fields): Fields;
  unwrap(union: Fields): Wrapped;
  /** The same of a place that was left as bytes. */
  open(place: "nlri" | "attribute", bytes: Uint8Array): Wrapped;
  /** Is it the attribute MP_REACH_NLRI (RFC 4760 §3), which names the route itself? */
  isReach(attribute: Uint8Array): boolean;
}
