import type { LabHostPlan } from '../../../src/lab/addresses.ts';
import type { Host } from '../../../src/lab/host.ts';
import { BRIDGE_INTERFACE } from '../../../src/lab/network.ts';
import type { Cluster } from './cluster.ts';

/** The router's own addresses, which its ICMP errors come from. */
const ADDRESS = '192.0.2.254';
const ADDRESS6 = '2001:db8::fe';

/** "Fragmentation needed" and "packet too big" that a router sent. */
export type RefusalsSent = Readonly<Record<4 | 6, number>>;

/**
 * A real router (this machine's kernel, in the namespace of the outside network) between a guest and all others. Nobody's address
 * changes: it answers ARP and neighbour discovery for both sides. Links stay as they are; what is narrow is the path behind it.
 */
export class NarrowRouter {
  readonly #host: Host;
  readonly #tap: string;
  readonly #routes: readonly string[];

  private constructor(host: Host, tap: string, routes: readonly string[]) {
    this.#host = host;
    this.#tap = tap;
    this.#routes = routes;
  }

  /** Puts it there, with a path of `mtu` bytes. */
  static async inFrontOf(cluster: Cluster, guest: LabHostPlan, mtu: number): Promise<NarrowRouter> {
    const { lab } = cluster;
    const { endpoint6, dvipa6, onLink, onLink6 } = lab.scenario;
    const host = lab.host('outside');
    const tap = guest.name;
    const others = lab.plan.filter(({ name }) => name !== tap).map(({ outsideAddress6 }) => outsideAddress6);
    const router = new NarrowRouter(host, tap, [
      `${guest.outsideAddress}/32 dev ${tap} src ${ADDRESS}`,
      `192.0.2.0/24 dev ${BRIDGE_INTERFACE} src ${ADDRESS}`,
      `${onLink} dev ${BRIDGE_INTERFACE} src ${ADDRESS}`,
      `${guest.outsideAddress6}/128 dev ${tap}`,
      `2001:db8::/64 dev ${BRIDGE_INTERFACE}`,
      `${onLink6} dev ${BRIDGE_INTERFACE}`,
    ]);
    await host.must(['sysctl', '-qw', ...sysctls(tap)]);
    await router.#batch([
      `link set ${tap} nomaster`,
      `addr add ${ADDRESS}/32 dev ${BRIDGE_INTERFACE}`,
      `addr add fe80::fe/64 dev ${BRIDGE_INTERFACE} nodad`,
      `addr add fe80::fe/64 dev ${tap} nodad`,
      `addr add ${ADDRESS6}/128 dev ${BRIDGE_INTERFACE} nodad`,
      `neigh add proxy ${guest.outsideAddress6} dev ${BRIDGE_INTERFACE}`,
      ...[...others, endpoint6, dvipa6].map((address) => `neigh add proxy ${address} dev ${tap}`),
    ]);
    await router.setPathMtu(mtu);
    for (const { name } of lab.plan) await lab.host(name).must(['ip', 'neigh', 'flush', 'dev', 'outside0']);
    return router;
  }

  /** From now on, both ways; the link's own MTU stands for a path as wide as it. */
  async setPathMtu(mtu: number): Promise<void> {
    await this.#batch(this.#routes.map((route) => `route replace ${route} mtu lock ${mtu}`));
  }

  /** Bytes that the guest has sent so far. */
  async bytesOfGuest(): Promise<number> {
    const file = `/sys/class/net/${this.#tap}/statistics/rx_bytes`;
    return Number(await this.#host.must(['cat', file]));
  }

  async refusals(): Promise<RefusalsSent> {
    const files = ['/proc/net/snmp', '/proc/net/snmp6'].map((file) => this.#host.must(['cat', file]));
    const [snmp = '', snmp6 = ''] = await Promise.all(files);
    const [names = [], values = []] = [...snmp.matchAll(/^Icmp: (.*)$/gm)].map(([, line = '']) =>
      line.split(' '),
    );
    return {
      4: Number(values[names.indexOf('OutDestUnreachs')]),
      6: Number(/^Icmp6OutPktTooBigs\s+(\d+)$/m.exec(snmp6)?.[1]),
    };
  }

  async #batch(lines: readonly string[]): Promise<void> {
    await this.#host.must(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }
}

function sysctls(tap: string): string[] {
  const sides = [BRIDGE_INTERFACE, tap];
  return [
    ...['all', ...sides].map((side) => `net.ipv6.conf.${side}.disable_ipv6=0`),
    ...['all', ...sides].flatMap((side) => [
      `net.ipv4.conf.${side}.rp_filter=0`,
      `net.ipv4.conf.${side}.send_redirects=0`,
      `net.ipv6.conf.${side}.forwarding=1`,
    ]),
    ...sides.flatMap((side) => [
      `net.ipv4.conf.${side}.proxy_arp=1`,
      `net.ipv6.conf.${side}.proxy_ndp=1`,
      `net.ipv6.conf.${side}.accept_dad=0`,
      `net.ipv4.neigh.${side}.proxy_delay=0`,
      `net.ipv6.neigh.${side}.proxy_delay=0`,
    ]),
    'net.ipv4.ip_forward=1',
  ];
}
