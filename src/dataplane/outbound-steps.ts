import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { tunnelNextHeader } from '../ipsec/esp-trailer.ts';
import type { LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import type { OutboundPolicy } from '../ipsec/sa.ts';
import type { SaFit } from '../ipsec/sa-fit.ts';
import type { IvCounter } from '../ipsec/sender-ids.ts';
import type { OuterHeader } from './encapsulate.ts';
import type { OutboundEntry, OutboundSad } from './outbound-sad.ts';
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
  /** Replaced with `outer`. */
  fit: SaFit;
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
