/**
 * The lab behind `vtepctl web`'s page: it makes the tables cold, pings, and judges what its own captures saw.
 *
 * Configuration files are kept as they are, so that what a reader has broken in one stays broken until it is mended.
 */
import { join } from "node:path";
import type { Driver, Judged, JudgedRow } from "../web/driver.ts";
import type { Lesson } from "../web/said.ts";
import { addIpv6, changeMode, makeCold, namespaceOf } from "./bed.ts";
import { captureTool } from "./capture.ts";
import { isFrameRow, type Scenario } from "./expect.ts";
import { overIpv6 } from "./expect-ipv6.ts";
import { OTHER_VXLAN } from "./expect-other-vxlan.ts";
import { OUTSIDE } from "./expect-outside.ts";
import { SAME_VXLAN } from "./expect-same-vxlan.ts";
import { frameText } from "./frame.ts";
import type { Verdict } from "./judge.ts";
import { ping } from "./measure.ts";
import { expectedText } from "./report.ts";
import { familiesOf, folderOf, type LabState } from "./state.ts";
import { addressOf, machine } from "./topology.ts";
import { walk } from "./walkthrough.ts";

const SCENARIOS: readonly Scenario[] = [SAME_VXLAN, OTHER_VXLAN, OUTSIDE];

export function labDriver(state: LabState): Driver {
  const families = familiesOf(state);
  const scenarios = families.flatMap((family) => (family === 4 ? SCENARIOS : SCENARIOS.map(overIpv6)));
  return {
    scenarios: scenarios.map(({ number, family, title, from, to, steps }) => {
      const by = family === 6 ? ", by IPv6" : "";
      return { number, family, title: `${title}${by}`, from, to, steps };
    }),
    lesson: lessonOf(state),
    async prepare(scheme, family, tell) {
      tell("the gateways start again, with empty tables");
      if (state.mode === scheme) await makeCold(state, "kept");
      else await changeMode(state, scheme);
      if (family === 6) await addIpv6(state);
    },
    async run(number, family, scheme) {
      const scenario = scenarios.find((each) => each.number === number && each.family === family);
      if (scenario === undefined) throw new Error(`there is no scenario ${number} by IPv${family}`);
      let judged: Judged | null = null;
      if (scheme === "distributed") judged = judgedOf(await walk(state, scenario, captureTool()), scenario);
      // The article's rows are those of the distributed scheme.
      else await ping(namespaceOf(state, scenario.from), addressOf(machine(scenario.to), family), 1);
      // For pings of the reader's own.
      if (family === 4 && families.includes(6)) await addIpv6(state);
      return judged;
    },
  };
}

function judgedOf({ names, judgement, ping: result }: Awaited<ReturnType<typeof walk>>, scenario: Scenario): Judged {
  return {
    names: Object.fromEntries(names),
    rows: judgement.verdicts.map(rowOf),
    ttl: result.echoes[0]?.ttl ?? null,
    expectedTtl: scenario.ttl,
  };
}

function rowOf({ row, isMet, frame, entry, note }: Verdict): JudgedRow {
  const place = isFrameRow(row)
    ? { place: row.place, table: null, vni: row.vni ?? null }
    : { place: null, table: row.table, vni: null };
  return {
    row: row.row,
    step: row.step ?? null,
    ...place,
    holds: isMet,
    expected: expectedText(row),
    observed: frame === undefined ? (entry ?? null) : frameText(frame),
    note: note ?? null,
    hex: frame === undefined ? null : Buffer.from(frame.bytes).toString("hex"),
  };
}

/** For sed's left side. */
const literal = (text: string): string => text.replace(/[[\].*^$]/g, "\\$&");

/** Faults that show at different steps. Each is one digit or one word of a file; the next walk takes it over. */
function lessonOf(state: LabState): Lesson {
  const file = (node: string) => join(folderOf(state.name), `${node}.yaml`);
  const fault = (title: string, node: string, right: string, wrong: string, isAtOnce = false) => {
    // A walk of the article starts the gateways again, and they read their files; a ping of one's own does not.
    const reload = isAtOnce ? ` && npm run lab -- ctl ${node} config reload` : "";
    return {
      title,
      ping: null,
      break: `sed -i 's|${literal(right)}|${wrong}|' ${file(node)}${reload}`,
      mend: `sed -i 's|${literal(wrong)}|${right}|' ${file(node)}${reload}`,
    };
  };
  return {
    ping: `npm run lab -- exec vm1 ping -c 1 20.1.1.12`,
    faults: [
      fault("gw2 has another VNI", "gw2", "name: vsi20, vni: 20,", "name: vsi20, vni: 21,"),
      fault(
        "gw1 has no tunnel to gw2 in VXLAN 20",
        "gw1",
        "name: vsi20, vni: 20,",
        "name: vsi20, vni: 20, tunnels: [border],",
      ),
      {
        ...fault(
          "gw1 lets no packet above 1300 bytes into VXLAN 20",
          "gw1",
          "name: vsi-interface20,",
          "name: vsi-interface20, mtu: 1300,",
          true,
        ),
        ping: "npm run lab -- exec vm1 ping -c 1 -M do -s 1400 20.1.1.12",
      },
      fault("gw1's subnet is too small", "gw1", "20.1.1.1/24", "20.1.1.1/29"),
    ],
  };
}
