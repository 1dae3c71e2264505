import type { SecurityAssociation } from '../../../src/ipsec/sa.ts';
import type { Oracle } from './oracle.ts';
import type { Settings } from './settings.ts';
import type { SimPeer } from './sim-peer.ts';
import type { SimRouter } from './sim-router.ts';
import type { SimTarget } from './sim-target.ts';
import { entriesOf } from '../../support/table-entries.ts';

export interface Watched {
  readonly oracle: Oracle;
  readonly settings: Settings;
  readonly peers: readonly SimPeer[];
  readonly sas: readonly SecurityAssociation[];
  readonly targets: readonly SimTarget[];
  /** Undefined: it is dead. */
  readonly router: SimRouter | undefined;
  readonly now: number;
}

/** Packets of an SA that all hosts together count as used; exact where nothing died. */
export function countedPackets({ router, targets }: Watched, sa: SecurityAssociation): number {
  const here = router?.sad.get(sa.id)?.meter.packets ?? 0;
  return targets.reduce((sum, { sad }) => sum + (sad.get(sa.id)?.meter.packets ?? 0), here);
}

/** Tells the oracle everything that nobody but an authenticated packet may have moved. */
export function look(watched: Watched): void {
  const { oracle, settings, peers, sas, targets, router, now } = watched;
  // With ESN the SA begins where nobody has sent.
  const real = (top: bigint) => (top === settings.firstNumber - 1n ? 0n : top);
  for (const sa of sas) {
    const owners = router?.sad.get(sa.id)?.owners;
    if (owners !== undefined) oracle.windowAt(sa.spi, real(owners.top), 'the routing host');
    for (const { sad, index } of targets) {
      const window = sad.get(sa.id)?.window;
      if (window !== undefined) oracle.windowAt(sa.spi, real(window.top), `target ${index}`);
    }
    oracle.lifesize(sa.spi, countedPackets(watched, sa));
  }
  if (router === undefined) return;
  const { table } = router.distributor;
  oracle.tentative(table.tentativeCount, settings.tentativePerGroup * peers.length);
  for (const { state, group, sourcePort } of entriesOf(table, now)) {
    const peer = peers.find((candidate) => candidate.group === group);
    if (state !== 'tentative') oracle.confirmed(peer?.spi ?? 0, sourcePort);
  }
}
