import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { tunnelNextHeader } from '../ipsec/esp-trailer.ts';
import type { LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import type { OutboundPolicy } from '../ipsec/sa.ts';
import type { IvCounter } from '../ipsec/sender-ids.ts';
import { encapsulate, type OuterHeader } from './encapsulate.ts';
import type { OutboundEntry, OutboundSad } from './outbound-sad.ts';
import type { PacketSink } from './ports.ts';
import { takeTransportPayload } from './transport-mode.ts';
import type { PacketVector } from './vector.ts';

const NO_POLICY = verdictOf('no-policy');
const NO_SA = verdictOf('no-sa');
const LOOK_ALIKE = verdictOf('look-alike');
const NO_NUMBER = verdictOf('no-number');
const HARD_LIMIT = verdictOf('hard-limit');

/** An outbound SA as both senders have it. */
export interface SendingSa extends OutboundEntry {
  /** Replaced as a whole when the peer's mapping moves. */
  outer: OuterHeader;
  readonly meter: LifesizeMeter;
}

/** Among policies of peers that look alike: the one that counts for packet `i`, of which `best` matches first; undefined: none. */
export type ChoosePolicy = (
  vector: PacketVector,
  i: number,
  best: OutboundPolicy,
) => OutboundPolicy | undefined;

/** Policy (RFC 4301 section 5.1) and SA of inner packet `i`, whose headers were read: sets `saSlot`. */
export function findOutboundSa(
  vector: PacketVector,
  i: number,
  sad: OutboundSad<SendingSa>,
  choose: ChoosePolicy,
): Verdict {
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
  { meter, outer }: SendingSa,
  number: number,
  iv: IvCounter | undefined,
): Verdict {
  const counter = iv?.take(1) ?? -1;
  if (iv === undefined || counter < 0) return NO_NUMBER;
  if (!meter.count(1, vector.length[i] as number)) return HARD_LIMIT;
  vector.sequenceHigh[i] = Math.floor(number / 0x1_0000_0000);
  vector.sequenceLow[i] = number >>> 0;
  vector.ivHigh[i] = iv.high(counter);
  vector.ivLow[i] = iv.low(counter);
  if (outer.mode === 'transport') takeTransportPayload(vector, i);
  else vector.nextHeader[i] = tunnelNextHeader(vector.family[i] as number);
  return KEEP;
}

/** Packets and bytes of one or of all vectors. */
export class SentCounts {
  sealed = 0;
  packets = 0;
  bytes = 0;
}

/** Seals what has verdict 0, puts the outer headers in front and sends it to the peers. */
export function sealAndSend(
  vector: PacketVector,
  parts: { readonly sad: OutboundSad<SendingSa>; readonly crypto: PacketCrypto; readonly raw: PacketSink },
  counts: SentCounts,
): void {
  parts.crypto.seal(vector);
  let sealed = 0;
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] !== KEEP) continue;
    encapsulate(vector, i, (parts.sad.at(vector.saSlot[i] as number) as SendingSa).outer);
    sealed++;
  }
  if (sealed === 0) return;
  counts.sealed += sealed;
  counts.packets += parts.raw.send(vector);
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] === KEEP) counts.bytes += vector.length[i] as number;
  }
}
