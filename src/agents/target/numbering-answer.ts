import type { ShadowOutboundSa } from '../../dataplane/target-outbound.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import type { NumberingSnapshot } from '../../observe/numbering-snapshot.ts';
import type { SendingWay } from '../../observe/snapshots.ts';
import { peerText } from '../peer-text.ts';
import type { ShadowCache } from './shadow-cache.ts';

/** The way on which this target sends on the SA. */
export function sendingWay({ holder: { state } }: ShadowOutboundSa, host: string): SendingWay {
  if (state === 'stamping' || state === 'funnel') return state;
  return state === 'exclusive' ? `exclusive:${host}` : 'idle';
}

/** What this target holds of the numbering of each outbound SA. */
export function numberingAnswer(cache: ShadowCache, host: string, now: number): NumberingSnapshot[] {
  return Array.from(cache.outbound.values(), (entry) => {
    const { sa, holder, iv } = entry;
    const { lease, state } = holder;
    return {
      id: sa.id,
      spi: formatSpi(sa.spi),
      dvipa: sa.dvipa,
      peer: peerText(sa.outer.destination, sa.outer.destinationPort),
      way: sendingWay(entry, host),
      state,
      lease: lease && {
        target: host,
        lease: lease.id,
        next: lease.next,
        end: lease.end,
        remainingMs: Math.max(0, Math.round(lease.expiresAt - now)),
      },
      senders: [{ target: host, senderId: iv?.senderId }],
      ivCounter: iv?.last ?? 0,
    };
  });
}
