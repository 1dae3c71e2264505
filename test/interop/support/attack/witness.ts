import type { Host } from '../../../../src/lab/host.ts';
import type { Cluster } from '../cluster.ts';
import { type Counts, dscpOf, KINDS, noCounts } from './kinds.ts';

export interface Arrived {
  /** Of the attacker. */
  readonly attack: Counts;
  /** ESP of the client. */
  readonly genuine: number;
}

const TABLE = 'netdev witness';

/**
 * Counts what arrives at the routing host, before any agent sees it: rules of the test at the interface's ingress, where nothing
 * is lost any more. Not the generator, not an agent.
 */
export class Witness {
  readonly #router: Host;

  private constructor(router: Host) {
    this.#router = router;
  }

  static async at({ lab }: Cluster): Promise<Witness> {
    const counters = KINDS.map((kind) => `counter ${nameOf(kind)} { }`);
    const rules = KINDS.map((kind) => `ip dscp ${dscpOf(kind)} counter name ${nameOf(kind)} accept;`);
    const { endpoint } = lab.scenario;
    await lab.router.must(['nft', '-f', '-'], {
      input: `
        table ${TABLE}
        delete table ${TABLE}
        table ${TABLE} {
          ${counters.join('\n')}
          counter genuine { }
          chain arriving {
            type filter hook ingress device "outside0" priority 0;
            ${rules.join('\n')}
            ip daddr ${endpoint} udp dport 4500 udp length > 12 @th,64,32 != 0 counter name genuine;
          }
        }`,
    });
    return new Witness(lab.router);
  }

  async arrived(): Promise<Arrived> {
    const text = await this.#router.must(['nft', '-j', 'list', 'counters', 'table', ...TABLE.split(' ')]);
    const { nftables } = JSON.parse(text) as {
      nftables: { counter?: { name: string; packets: number } }[];
    };
    const packets = (wanted: string) =>
      nftables.find(({ counter }) => counter?.name === wanted)?.counter?.packets ?? Number.NaN;
    const attack = noCounts();
    for (const kind of KINDS) attack[kind] = packets(nameOf(kind));
    return { attack, genuine: packets('genuine') };
  }
}

/** As nft takes it. */
function nameOf(kind: string): string {
  return kind.replaceAll('-', '_');
}
