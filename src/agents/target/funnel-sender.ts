import { KEEP, type Verdict, verdictOf } from '../../base/verdict.ts';
import { CLEAR_GROUP } from '../../connections/connection-key.ts';
import type { OutboundSad } from '../../dataplane/outbound-sad.ts';
import type { ShadowOutboundSa } from '../../dataplane/target-outbound.ts';
import type { PacketVector } from '../../dataplane/vector.ts';
import { LINK_KIND, LinkHeaders, type LinkSealer } from '../../ipsec/link-seal.ts';

const NO_NUMBER = verdictOf('no-number');
const RETURN_ROUTER = verdictOf('return-router');
const headers = new LinkHeaders();

/** Seals what has verdict 0 for the way to the routing host; without a link key (no session) it is dropped: fail closed. */
export type SealVector = (vector: PacketVector, sealer: LinkSealer | undefined, epoch: number) => void;

/** Inner packets for the funnel. */
export function sealForFunnel(sad: OutboundSad<ShadowOutboundSa>): SealVector {
  return (vector, sealer, epoch) => {
    sealAll(
      vector,
      sealer,
      epoch,
      LINK_KIND.FUNNEL,
      NO_NUMBER,
      (i) => sad.at(vector.saSlot[i] as number)?.sa.group ?? 0,
    );
  };
}

/** Answers in clear that the routing host shall send. */
export const sealClear: SealVector = (vector, sealer, epoch) => {
  sealAll(vector, sealer, epoch, LINK_KIND.CLEAR, RETURN_ROUTER, () => CLEAR_GROUP);
};

function sealAll(
  vector: PacketVector,
  sealer: LinkSealer | undefined,
  epoch: number,
  kind: number,
  otherwise: Verdict,
  groupOf: (i: number) => number,
): void {
  headers.begin(vector.count);
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] !== KEEP) continue;
    if (sealer === undefined) vector.verdict[i] = otherwise;
    else headers.mark(i, kind, 0, groupOf(i));
  }
  sealer?.seal(vector, headers, epoch);
}
