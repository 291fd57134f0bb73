/** The doctor about DHCP servers. */
import { expect, it } from "vitest";
import { checkDhcp } from "../../src/doctor/dhcp.ts";

const SERVER = { interface: "if10", server: "50.1.1.67", requests: 1, replies: 0, answeredSeconds: null };

it("warns of a server that owes an answer for ten seconds, and says which way it has to answer", () => {
  const check = (silentSeconds: number | null) => checkDhcp([{ ...SERVER, silentSeconds }], () => "10.1.1.251")[0]!;
  expect(check(null)).toMatchObject({ result: "ok", name: "dhcp 50.1.1.67", text: "1 request of if10, 0 replies" });
  expect(check(9).result).toBe("ok");
  expect(check(10)).toMatchObject({ result: "warn", text: "1 request of if10, 0 replies; silent for 10 s" });
  expect(check(10).fix).toContain("a way back to 10.1.1.251? vtepctl ping 50.1.1.67 --interface if10");
});
