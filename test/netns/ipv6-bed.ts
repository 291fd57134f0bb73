/** The article's network of IPv4, with a second family on three hosts and the VSI-interfaces of gw1 and gw2: no route of IPv6 leads out. */
import { type Article, openArticle } from "./article-bed.ts";

const HOSTS = { vm1: ["10", "11"], vm4: ["10", "12"], vm5: ["20", "12"] } as const;

export const hostOf = (host: keyof typeof HOSTS) => `2001:db8:${HOSTS[host][0]}::${HOSTS[host][1]}`;

export async function openIpv6(label: string): Promise<Article> {
  const article = await openArticle(label, {
    shape: (node, text) =>
      node === "border"
        ? text
        : text.replaceAll(/address: (10|20)\.1\.1\.1\/24/g, `address: [$1.1.1.1/24, "2001:db8:$1::1/64"]`),
  });
  const { bed } = article;
  for (const host of ["vm1", "vm4", "vm5"] as const) {
    await bed.must(host, "sysctl", ["-qw", "net.ipv6.conf.eth0.disable_ipv6=0", "net.ipv6.conf.eth0.accept_ra=0"]);
    await bed.ip(host, `addr add ${hostOf(host)}/64 dev eth0 nodad`);
    await bed.must(host, "ip", ["-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0"]);
  }
  return article;
}
