import type { Generation } from '../../ipsec/credit-percentage.ts';
import type { LifesizeUnit } from '../../ipsec/lifesize-unit.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import type {
  CreditSnapshot,
  GenerationSnapshot,
  LifesizeConfigurationSnapshot,
  LifesizeSnapshot,
  SaLifesizeSnapshot,
} from '../../observe/lifesize-snapshot.ts';
import { peerText } from '../peer-text.ts';
import type { LifesizeConfiguration } from './lifesize-learning.ts';
import type { Rekeyer } from './rekeyer.ts';
import type { RoutingHost } from './routing-host.ts';
import type { AnySa } from './routing-sas.ts';

interface Parts {
  readonly host: RoutingHost;
  readonly rekeyer: Rekeyer;
  readonly now: () => number;
}

/** What the routing host says of lifesize. */
export function lifesizeAnswer({ host, rekeyer, now }: Parts): LifesizeSnapshot {
  const at = now();
  return {
    sas: Array.from(host.sas.all(), (entry) => saLifesize(entry, rekeyer, at)),
    configurations: Array.from(host.learning.configurations(), (one) => configurationSnapshot(one, at)),
    rekeys: rekeyer.book.entries().map(([reason, counts]) => ({ reason, ...counts })),
    hardLimits: rekeyer.book.hardLimits,
  };
}

function saLifesize(entry: AnySa, rekeyer: Rekeyer, now: number): SaLifesizeSnapshot {
  const { sa, lifesize, rekeys } = entry;
  const names = rekeyer.namesOf(entry);
  const { source, sourcePort, destination, destinationPort } = sa.outer;
  const { bytes, packets } = lifesize.totals(now);
  const { reserve } = lifesize;
  return {
    id: sa.id,
    spi: formatSpi(sa.spi),
    direction: sa.direction,
    peer: sa.direction === 'in' ? peerText(source, sourcePort) : peerText(destination, destinationPort),
    ikeName: names?.ike,
    childName: names?.child,
    bytes,
    packets,
    limits: { bytes: sa.lifetime.bytes, packets: sa.lifetime.packets },
    charged: lifesize.charged,
    reserve: {
      bytes: lifesize.bytes.isLimited ? Math.ceil(reserve.bytes) : undefined,
      packets: lifesize.packets.isLimited ? Math.ceil(reserve.packets) : undefined,
    },
    credits: lifesize.isLimited ? creditsOf(lifesize.bytes, lifesize.packets) : [],
    percentage: lifesize.isLimited ? lifesize.percentage : undefined,
    rekeys: Array.from(rekeys, ([reason, { at, attempts }]) => ({
      reason,
      agoMs: Math.round(now - at),
      attempts,
    })),
  };
}

function creditsOf(bytes: LifesizeUnit, packets: LifesizeUnit): CreditSnapshot[] {
  const inPackets = new Map(packets.accounts());
  return Array.from(bytes.accounts(), ([user, account]) => {
    const other = inPackets.get(user);
    return {
      user,
      credit: {
        bytes: bytes.isLimited ? account.usable : undefined,
        packets: packets.isLimited ? other?.usable : undefined,
      },
      reported: { bytes: account.reported, packets: other?.reported },
      isLost: account.isLost,
    };
  });
}

function configurationSnapshot(
  { names, credit, sas }: LifesizeConfiguration,
  now: number,
): LifesizeConfigurationSnapshot {
  return {
    ikeName: names.ike,
    childName: names.child,
    peer: names.peer,
    sas: sas.size,
    percentage: credit.percentage,
    rekeyMs: Math.round(credit.rekeyMs),
    rekeysMeasured: credit.rekeysMeasured,
    history: credit.history.map((generation) => generationSnapshot(generation, now)),
  };
}

function generationSnapshot({ at, rekeyMs, ...rest }: Generation, now: number): GenerationSnapshot {
  return {
    ...rest,
    agoMs: Math.round(now - at),
    rekeyMs: rekeyMs === undefined ? undefined : Math.round(rekeyMs),
  };
}
