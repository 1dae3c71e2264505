import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { tunnelNextHeader } from '../ipsec/esp-trailer.ts';
import type { GroupOverlaps } from '../ipsec/group-overlaps.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import type { OutboundPolicy } from '../ipsec/sa.ts';
import type { IvCounter } from '../ipsec/sender-ids.ts';
import { encapsulate, outerBytes } from './encapsulate.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import type { OutboundSad } from './outbound-sad.ts';
import type { OuterCut } from './outer-cut.ts';
import type { PacketSink } from './ports.ts';
import type { SendingSa } from './sending-sa.ts';
import { padForTfc } from './tfc-padding.ts';
import { takeTransportPayload } from './transport-mode.ts';
import type { PacketVector } from './vector.ts';

const NO_POLICY = verdictOf('no-policy');
const NO_SA = verdictOf('no-sa');
const LOOK_ALIKE = verdictOf('look-alike');
const NO_NUMBER = verdictOf('no-number');
const HARD_LIMIT = verdictOf('hard-limit');
const TOO_BIG = verdictOf('too-big');

const IP_TOTAL_MAX = 0xffff;
/** The fragments that a host sends are all its own: one group in `FragmentMemory`. */
const OWN = 0;

/** Among policies of peers that look alike: the one that counts for packet `i`, of which `best` matches first; undefined: none. */
export type ChoosePolicy = (
  vector: PacketVector,
  i: number,
  best: OutboundPolicy,
) => OutboundPolicy | undefined;

/**
 * Policy (RFC 4301 section 5.1) and SA of inner packet `i`, whose headers were read: sets `saSlot`. A later fragment goes where the
 * first one of its datagram went, whatever ports a policy wants; unless peers look alike, of whom two may have this datagram.
 */
export function findOutboundSa(
  vector: PacketVector,
  i: number,
  sad: OutboundSad<SendingSa>,
  choose: ChoosePolicy,
  fragments: FragmentMemory,
  overlaps: GroupOverlaps,
): Verdict {
  const verdict = previewOutboundSa(vector, i, sad, choose, fragments, overlaps);
  if (verdict === KEEP && vector.fragment[i] === FRAGMENT.FIRST)
    fragments.learn(vector, i, OWN, vector.saSlot[i] as number);
  return verdict;
}

/** The same, and remembers nothing of a first fragment; `choose` is the caller's. */
export function previewOutboundSa(
  vector: PacketVector,
  i: number,
  sad: OutboundSad<SendingSa>,
  choose: ChoosePolicy,
  fragments: FragmentMemory,
  overlaps: GroupOverlaps,
): Verdict {
  const fragment = vector.fragment[i];
  if (fragment === FRAGMENT.LATER) {
    const slot = fragments.lookup(vector, i, OWN);
    const entry = slot < 0 ? undefined : sad.at(slot);
    if (entry !== undefined && !overlaps.has(entry.sa.group)) {
      vector.saSlot[i] = slot;
      return KEEP;
    }
  }
  const best = sad.policyFor(vector, i);
  if (best === undefined) return NO_POLICY;
  const policy = choose(vector, i, best);
  if (policy === undefined) return LOOK_ALIKE;
  const entry = sad.saOf(policy);
  if (entry === undefined) return NO_SA;
  vector.saSlot[i] = entry.slot;
  return KEEP;
}

/** Gives packet `i` its number and an IV of its own, within the SA's limits. The number is used up either way. */
export function assignNumber(
  vector: PacketVector,
  i: number,
  sa: SendingSa,
  number: number,
  iv: IvCounter | undefined,
): Verdict {
  const counter = iv?.take(1) ?? -1;
  if (iv === undefined || counter < 0) return NO_NUMBER;
  padForTfc(vector, i, sa);
  if (!sa.meter.count(1, vector.length[i] as number)) return HARD_LIMIT;
  vector.sequenceHigh[i] = Math.floor(number / 0x1_0000_0000);
  vector.sequenceLow[i] = number >>> 0;
  vector.ivHigh[i] = iv.high(counter);
  vector.ivLow[i] = iv.low(counter);
  if (sa.outer.mode === 'transport') takeTransportPayload(vector, i);
  else vector.nextHeader[i] = tunnelNextHeader(vector.family[i] as number);
  return KEEP;
}

/** Packets and bytes of one or of all vectors. */
export class SentCounts {
  sealed = 0;
  packets = 0;
  bytes = 0;
}

export interface SendingParts {
  readonly sad: OutboundSad<SendingSa>;
  readonly raw: PacketSink;
  readonly cut: OuterCut;
}

export interface SealingParts extends SendingParts {
  readonly crypto: PacketCrypto;
}

/** Seals what has verdict 0 and sends it. */
export function sealAndSend(
  vector: PacketVector,
  parts: SealingParts,
  counts: SentCounts,
  now: number,
): void {
  parts.crypto.seal(vector);
  sendSealed(vector, parts, counts, now);
}

/** Puts the outer headers in front of what has verdict 0 and sends it to the peers, in fragments where it does not fit. */
export function sendSealed(vector: PacketVector, parts: SendingParts, counts: SentCounts, now: number): void {
  const { sad, raw, cut } = parts;
  let sealed = 0;
  let isAnyLong = false;
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] !== KEEP) continue;
    const { outer, fit } = sad.at(vector.saSlot[i] as number) as SendingSa;
    const bytes = (vector.length[i] as number) + outerBytes(outer);
    if (bytes > IP_TOTAL_MAX) {
      vector.verdict[i] = TOO_BIG;
      continue;
    }
    fit.refresh(now);
    if (bytes > fit.outerMtu) {
      isAnyLong = true;
      // What was refused for its length never came here. Either the path is narrower since then, and its sender cannot be told by whom
      // it is now, or it is IPv6, which has no say about the tunnel's own fragments (RFC 2473 section 7.1).
      vector.dontFragment[i] = 0;
    }
    encapsulate(vector, i, outer);
    sealed++;
  }
  if (sealed === 0) return;
  counts.sealed += sealed;
  counts.packets += isAnyLong ? cut.send(vector, sad) : raw.send(vector);
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] === KEEP) counts.bytes += vector.length[i] as number;
  }
}
