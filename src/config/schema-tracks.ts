/** Keys of tracks: what is asked, by whom, how often. */
import { z } from "zod";
import { readVtep } from "./address.ts";
import { hop, int, name, read } from "./field.ts";

export const MOST_TRACKS = 64;

export const track = z
  .strictObject({
    name: name().describe("name of the track"),
    icmp: read(readVtep).optional().describe("address that answers echoes while it is up"),
    interface: name()
      .optional()
      .describe("VSI-interface that asks, by the table of its VRF; absent: the VTEP asks, through the underlay"),
    via: hop()
      .optional()
      .describe(
        "neighbour of that VSI-interface through which it asks, whatever the table says; a link-local one with it: fe80::2%outside",
      ),
    intervalMs: int(100, 60000).optional().describe("milliseconds between echoes (500)"),
    multiplier: int(2, 20).optional().describe("intervals without an answer until it is down (3)"),
    ac: name().optional().describe("or an AC: up while it is there and its link is up"),
  })
  .describe("something that is up or down, on which routes, policies and the drain depend");
