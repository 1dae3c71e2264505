import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { ADDRESS_WORDS, equalAddresses } from '../packet/address.ts';
import { type ClusterAddresses, isFromOurselves } from './classify.ts';
import type { InboundSad } from './inbound-sad.ts';
import type { RoutingInboundSa } from './routing-sa.ts';
import type { TargetChoice } from './target-choice.ts';
import type { PacketVector } from './vector.ts';

const UNKNOWN_SPI = verdictOf('unknown-spi');
const SA_NOT_SERVING = verdictOf('sa-not-serving');
const REPLAY = verdictOf('replay');
const INNER_NOT_DVIPA = verdictOf('inner-not-dvipa');
const TUNNEL_CHECK = verdictOf('tunnel-check');

/*
 * Decisions of the routing host's way in that depend on state and change none: packets and `dvipa trace` ask the same ones.
 */

/**
 * SA and number of classified packet `i`: sets `saSlot` and the high half. `unknown-spi` and `sa-not-serving` may pass: such a packet
 * waits for a moment. The replay check is read-only (claim 9).
 */
export function findInbound<Sa extends RoutingInboundSa>(
  vector: PacketVector,
  i: number,
  sad: InboundSad<Sa>,
  addresses: ClusterAddresses,
): Verdict {
  const spi = (vector.spi[i] as number) | 0; // signed, so that it is no object
  const slot = sad.lookup(spi, vector.outerDestination, i * ADDRESS_WORDS);
  const entry = sad.at(slot);
  if (entry === undefined) return UNKNOWN_SPI;
  if (isFromOurselves(vector, i, addresses)) return TUNNEL_CHECK;
  const isServed = entry.serving.size > 0 || entry.isFallbackReady;
  if (!isServed || entry.isWaitingForWindows) return SA_NOT_SERVING;
  return checkNumber(vector, i, slot, entry);
}

/** The same for a packet that follows one of its SA (`followsOuter`). */
export function findInboundAgain<Sa extends RoutingInboundSa>(
  vector: PacketVector,
  i: number,
  sad: InboundSad<Sa>,
): Verdict {
  const slot = vector.saSlot[i - 1] as number;
  return checkNumber(vector, i, slot, sad.at(slot) as Sa);
}

function checkNumber(vector: PacketVector, i: number, slot: number, entry: RoutingInboundSa): Verdict {
  const low = vector.sequenceLow[i] as number;
  const high = entry.sa.hasEsn ? entry.owners.inferHigh(low) : 0;
  vector.saSlot[i] = slot;
  vector.sequenceHigh[i] = high;
  return entry.owners.check(high, low) ? KEEP : REPLAY;
}

/**
 * Claims 3 and 8, on what the peek showed of packet `i`. The target repeats them on what is authenticated. A later fragment shows no
 * ports: it goes on only where the first one of its datagram, which was checked, has gone.
 */
export function checkPeeked(vector: PacketVector, i: number, entry: RoutingInboundSa): Verdict {
  const isDvipa = equalAddresses(vector.innerDestination, i * ADDRESS_WORDS, entry.dvipa.address, 0);
  if (!isDvipa) return INNER_NOT_DVIPA;
  if (vector.fragment[i] === FRAGMENT.LATER) return KEEP;
  return passesTunnelCheck(vector, i, entry) ? KEEP : TUNNEL_CHECK;
}

/** Whether this host filters packet `i` of the SA (claim 7). */
export function isFilteredHere(vector: PacketVector, i: number, { dvipa }: RoutingInboundSa): boolean {
  return dvipa.filterMode === 'filter' && vector.fragment[i] !== FRAGMENT.LATER;
}

function passesTunnelCheck(vector: PacketVector, i: number, { sa, check }: RoutingInboundSa): boolean {
  const mayHaveMoved = sa.mode === 'transport' && sa.hasUdpEncapsulation;
  return mayHaveMoved ? check.permitsFromAnywhere(vector, i) : check.permits(vector, i);
}

/**
 * While packets of the SA are forged in masses, those of connections that no target has confirmed are opened here. A fragment is of a
 * connection that its datagram's first one shows: those wait for each other as ever.
 */
export function isOpenedFirst(
  vector: PacketVector,
  i: number,
  entry: RoutingInboundSa,
  choice: TargetChoice,
): boolean {
  return vector.fragment[i] === FRAGMENT.WHOLE && !choice.isConfirmed(vector, i, entry);
}
