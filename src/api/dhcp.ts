/** /v1/dhcp: the servers that VSI-interfaces relay to, and whether they answer. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { json } from "./json-body.ts";

export const DhcpServer = z
  .object({
    interface: z.string(),
    server: z.union([z.ipv4(), z.ipv6()]).describe("of DHCP, or of DHCPv6"),
    requests: z.int().describe("sent to it"),
    replies: z.int().describe("that came back from it"),
    answeredSeconds: z.int().nullable().describe("since its last reply; null: none yet"),
    silentSeconds: z.int().nullable().describe("since the first request that it has not answered; null: it owes none"),
  })
  .openapi("DhcpServer");
export type DhcpServer = z.infer<typeof DhcpServer>;

export function addDhcp(app: OpenAPIHono, servers: () => readonly DhcpServer[]): void {
  const summary = "DHCP servers by VSI-interface, and whether they answer";
  const route = createRoute({
    method: "get",
    path: "/v1/dhcp",
    summary,
    responses: { 200: json(summary, z.array(DhcpServer)) },
  });
  app.openapi(route, (c) => c.json([...servers()], 200));
}
