/**
 * What `lab -- evpn` needs beyond the lab: root, gobgpd and FRR, a kernel with vxlan. What is missing is installed where that can be
 * done (test/set-up.mjs, which says what and why); what cannot be helped is said before anything is made.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const SET_UP = fileURLToPath(new URL("../../../test/set-up.mjs", import.meta.url));
const NOT_PERMITTED = 6;

const refusal = (text: string, status = NOT_PERMITTED) => Object.assign(new Error(text), { status });

/** Throws an Error that says the fix. */
export function demandFabric(): void {
  if (process.getuid?.() !== 0)
    throw refusal(
      "the EVPN lab needs root: FRR's daemons change to a user of their own, whom a user namespace does not have: sudo npm run lab -- evpn\n" +
        "     without root there are `npm run lab` (the same gateways with configured tunnels), and for members of group docker `docker/lab up --profile evpn`",
    );
  const { status } = spawnSync(process.execPath, [SET_UP, "evpn"], { stdio: "inherit" });
  if (status !== 0) throw refusal("the EVPN lab cannot run without that", status ?? NOT_PERMITTED);
  const trial = spawnSync(
    "unshare",
    ["-n", "ip", "link", "add", "trial", "type", "vxlan", "id", "1", "dstport", "4789"],
    {
      encoding: "utf8",
    },
  );
  if (trial.status !== 0)
    throw refusal(`this kernel has no vxlan, on which the leaf is built (${trial.stderr.trim()}): modprobe vxlan`);
}
