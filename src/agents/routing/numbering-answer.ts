import { formatSpi } from '../../ipsec/sa.ts';
import type { NumberingSnapshot, SenderSnapshot } from '../../observe/numbering-snapshot.ts';
import { peerText } from '../peer-text.ts';
import type { Rekeyer } from './rekeyer.ts';
import type { OutboundSa, RoutingSas } from './routing-sas.ts';
import { sendingWay } from './way-history.ts';

export interface NumberingParts {
  readonly host: { readonly sas: RoutingSas };
  readonly rekeyer: Rekeyer;
  readonly now: () => number;
}

/** The numbering of each outbound SA, as the routing host leads it. */
export function numberingAnswer(parts: NumberingParts): NumberingSnapshot[] {
  return Array.from(parts.host.sas.outbound.values(), (entry) => snapshotOf(entry, parts));
}

function snapshotOf(entry: OutboundSa, { rekeyer, now }: NumberingParts): NumberingSnapshot {
  const { sa, numbering, ways } = entry;
  const { marks, lease, expiredLeases } = numbering.books;
  const names = rekeyer.namesOf(entry);
  return {
    id: sa.id,
    spi: formatSpi(sa.spi),
    dvipa: sa.dvipa,
    peer: peerText(sa.outer.destination, sa.outer.destinationPort),
    ikeName: names?.ike,
    childName: names?.child,
    way: sendingWay(numbering),
    state: numbering.state.name,
    lease: lease && {
      target: lease.target,
      lease: lease.id,
      next: lease.first,
      end: lease.end,
      remainingMs: Math.max(0, Math.round(lease.expiresAt - now())),
    },
    senders: sendersOf(entry, now()),
    sharedWay: numbering.sharedWay,
    nextSequence: marks?.nextSequence,
    storedSequence: marks && Number(marks.stored.nextSequence),
    nextSenderId: marks?.nextSenderId,
    storedSenderId: marks?.stored.nextSenderId,
    senderIdsLeft: marks?.senderIdsLeft,
    expiredLeases,
    changes: ways.changes,
  };
}

function sendersOf({ numbering }: OutboundSa, now: number): SenderSnapshot[] {
  const { senders } = numbering.books;
  return Array.from(senders.targets(), (target) => {
    const lastActive = senders.lookup(target)?.lastActive ?? Number.NEGATIVE_INFINITY;
    return {
      target,
      senderId: senders.idOf(target),
      idleMs: Number.isFinite(lastActive) ? Math.round(now - lastActive) : undefined,
      asked: senders.requests.get(target)?.count,
    };
  });
}
