import type { LifesizeMeter } from '../../ipsec/lifesize-meter.ts';
import { formatSpi, type SecurityAssociation } from '../../ipsec/sa.ts';
import type { LifesizeSnapshot, SaLifesizeSnapshot } from '../../observe/lifesize-snapshot.ts';
import { peerText } from '../peer-text.ts';
import type { ShadowCache } from './shadow-cache.ts';

/** What a target says of lifesize: its own use and credit. */
export function lifesizeAnswer(cache: ShadowCache, host: string): LifesizeSnapshot {
  const entries = [...cache.inbound.values(), ...cache.outbound.values()];
  return {
    sas: entries.map(({ sa, meter }) => saLifesize(sa, meter, host)),
    configurations: [],
    rekeys: [],
    hardLimits: 0,
  };
}

function saLifesize(sa: SecurityAssociation, meter: LifesizeMeter, host: string): SaLifesizeSnapshot {
  const { source, sourcePort, destination, destinationPort } = sa.outer;
  const { bytes: byteLimit, packets: packetLimit } = sa.lifetime;
  const { bytes, packets, credit } = meter;
  const isLimited = (limit: { soft: number; hard: number }) => limit.soft > 0 || limit.hard > 0;
  return {
    id: sa.id,
    spi: formatSpi(sa.spi),
    direction: sa.direction,
    peer: sa.direction === 'in' ? peerText(source, sourcePort) : peerText(destination, destinationPort),
    bytes,
    packets,
    limits: { bytes: byteLimit, packets: packetLimit },
    credits: [
      {
        user: host,
        credit: {
          bytes: isLimited(byteLimit) ? credit.bytes : undefined,
          packets: isLimited(packetLimit) ? credit.packets : undefined,
        },
        reported: { bytes, packets },
        isLost: false,
      },
    ],
  };
}
