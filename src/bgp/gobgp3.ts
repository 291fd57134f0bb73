/**
 * gobgpd's API of version 3 (3.10 in Debian 12, 3.36 in Debian 13): a place for one of several messages is an `Any`, which names
 * the message by its full type; enumerations begin at 0.
 */
import protobuf from "protobufjs";
import type { Dialect, Fields, Wrapped } from "./dialect.ts";
import { messagesOf } from "./messages.ts";

const PACKAGE = "apipb";
const TYPE_URL = `type.googleapis.com/${PACKAGE}.`;
const any = "Any";
const REACH_URL = Buffer.from(`${TYPE_URL}MpReachNLRIAttribute`);

export function gobgp3(): Dialect {
  const unions = { nlri: any, attribute: any, community: any, rd: any };
  const declarations = "message Any { string type_url = 1; bytes value = 2; }";
  const { root } = protobuf.parse(messagesOf({ package: PACKAGE, unions, declarations }));
  const type = (name: string) => root.lookupType(`${PACKAGE}.${name}`);
  const known = new Map<string, protobuf.Type | null>();
  const find = (name: string): protobuf.Type | null => {
    let found = known.get(name);
    if (found === undefined) {
      found = (root.lookup(`${PACKAGE}.${name}`) as protobuf.Type | null) ?? null;
      known.set(name, found);
    }
    return found;
  };
  const unwrap: Dialect["unwrap"] = (union) => {
    const { typeUrl, value } = union as { typeUrl?: string; value?: Uint8Array };
    const name = typeUrl?.slice(typeUrl.lastIndexOf(".") + 1) ?? "";
    const message = find(name);
    const decoded: unknown = message === null ? null : message.decode(value ?? new Uint8Array());
    const fields = decoded as Wrapped["fields"];
    return { name, fields };
  };
  const union = type(any);
  return {
    name: "v3",
    service: "/apipb.GobgpApi/",
    type,
    enumBase: 0,
    wrap: (name, fields) => {
      const message = type(name);
      return { typeUrl: TYPE_URL + name, value: message.encode(message.fromObject(fields)).finish() };
    },
    unwrap,
    open: (_place, bytes) => unwrap(union.decode(bytes) as unknown as Fields),
    isReach: (attribute) => {
      // Field 1, the type, and its length: few are looked at further.
      if (attribute[1] !== REACH_URL.length) return false;
      return REACH_URL.every((byte, n) => attribute[n + 2] === byte);
    },
  };
}
