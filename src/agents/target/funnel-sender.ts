import { KEEP, type Verdict, verdictOf } from '../../base/verdict.ts';
import { CLEAR_GROUP } from '../../connections/connection-key.ts';
import type { OutboundSad } from '../../dataplane/outbound-sad.ts';
import type { ShadowOutboundSa } from '../../dataplane/target-outbound.ts';
import type { PacketVector } from '../../dataplane/vector.ts';
import { LINK_KIND, LinkHeader, type LinkSealer } from '../../ipsec/link-seal.ts';

const NO_NUMBER = verdictOf('no-number');
const RETURN_ROUTER = verdictOf('return-router');
const header = new LinkHeader();

/** Seals what has verdict 0 for the way to the routing host; without a link key (no session) it is dropped: fail closed. */
export type SealVector = (vector: PacketVector, sealer: LinkSealer | undefined, epoch: number) => void;

/** Inner packets for the funnel. */
export function sealForFunnel(sad: OutboundSad<ShadowOutboundSa>): SealVector {
  return (vector, sealer, epoch) => {
    header.kind = LINK_KIND.FUNNEL;
    sealAll(vector, sealer, epoch, NO_NUMBER, (i) => sad.at(vector.saSlot[i] as number)?.sa.group ?? 0);
  };
}

/** Answers in clear that the routing host shall send. */
export const sealClear: SealVector = (vector, sealer, epoch) => {
  header.kind = LINK_KIND.CLEAR;
  sealAll(vector, sealer, epoch, RETURN_ROUTER, () => CLEAR_GROUP);
};

function sealAll(
  vector: PacketVector,
  sealer: LinkSealer | undefined,
  epoch: number,
  otherwise: Verdict,
  groupOf: (i: number) => number,
): void {
  header.flags = 0;
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] !== KEEP) continue;
    header.group = groupOf(i);
    vector.verdict[i] = sealer === undefined ? otherwise : sealer.seal(vector, i, header, epoch);
  }
}
