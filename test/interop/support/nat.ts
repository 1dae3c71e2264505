import { hostNamespace } from '../../../src/lab/network.ts';
import type { Cluster } from './cluster.ts';

const PREFIX_BITS = 24;
/** The network behind the NAT. */
export const INSIDE = { gateway: '192.168.77.1' } as const;
const INSIDE_ADDRESSES = ['192.168.77.2', '192.168.77.3'] as const;

/**
 * Puts the lab's `client1` as a NAT (nftables masquerade) in front of its kernels, two at most: its charon ends, and the guests'
 * taps go to a bridge of their own.
 */
export class Nat {
  readonly #cluster: Cluster;
  address: string;
  ports: string;

  private constructor(cluster: Cluster, address: string, ports: string) {
    this.#cluster = cluster;
    this.address = address;
    this.ports = ports;
  }

  static async build(cluster: Cluster, ports: string): Promise<Nat> {
    const { lab } = cluster;
    const [outside, box] = [lab.host('outside'), lab.host('client1')];
    const clients = lab.hostsOf('kernel');
    await lab.process('client1', 'charon').stop();
    const namespace = hostNamespace(lab.options.prefix, 'client1');
    await outside.must(['ip', '-batch', '-'], {
      input: `link add behind type bridge forward_delay 0 stp_state 0 mcast_snooping 0
        link set behind up
        link add nat1 type veth peer name inside0 netns ${namespace}
        link set nat1 master behind up
        ${clients.map(({ name }) => `link set ${name} master behind`).join('\n')}\n`,
    });
    await box.must(['ip', '-batch', '-'], {
      input: `addr add ${INSIDE.gateway}/${PREFIX_BITS} dev inside0
        link set inside0 up\n`,
    });
    await box.must(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.promote_secondaries=1']);
    for (const [index, client] of clients.entries())
      await client.must(['ip', '-batch', '-'], {
        input: `addr flush dev outside0
          addr add ${INSIDE_ADDRESSES[index]}/${PREFIX_BITS} dev outside0
          route add default via ${INSIDE.gateway}\n`,
      });
    const address = lab.plan.find(({ name }) => name === 'client1')?.outsideAddress ?? '';
    const nat = new Nat(cluster, address, ports);
    await nat.#rules();
    return nat;
  }

  /** A new address, or new ports. The NAT forgets its connections, as one that was restarted. */
  async moveTo(address: string, ports: string): Promise<void> {
    const box = this.#cluster.lab.host('client1');
    const before = this.address;
    Object.assign(this, { address, ports });
    await this.#rules();
    // An address that goes takes the connections along that were masqueraded with it; another one must be there meanwhile.
    const between = `192.0.2.199/${PREFIX_BITS}`;
    await box.must(['ip', '-batch', '-'], {
      input: `addr add ${between} dev outside0
        addr del ${before}/${PREFIX_BITS} dev outside0
        addr add ${address}/${PREFIX_BITS} dev outside0
        addr del ${between} dev outside0\n`,
    });
  }

  /** Where the peer is, as the agents tell it, if its port is one of these. */
  get peer(): RegExp {
    const [from, to] = this.ports.split('-').map(Number);
    const ports = Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i);
    return new RegExp(`^${this.address.replaceAll('.', '\\.')}:(${ports.join('|')})$`);
  }

  async #rules(): Promise<void> {
    const rules = `
      table ip nat1
      delete table ip nat1
      table ip nat1 {
        chain out {
          type nat hook postrouting priority srcnat;
          oifname "outside0" udp sport 4500 masquerade to :${this.ports}
          oifname "outside0" masquerade
        }
      }`;
    await this.#cluster.lab.host('client1').must(['nft', '-f', '-'], { input: rules });
  }
}
