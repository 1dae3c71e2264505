import { KEEP, verdictOf } from '../../base/verdict.ts';
import type { OutboundSad } from '../../dataplane/outbound-sad.ts';
import type { ShadowOutboundSa } from '../../dataplane/target-outbound.ts';
import type { PacketVector } from '../../dataplane/vector.ts';
import { LINK_KIND, LinkHeader, type LinkSealer } from '../../ipsec/link-seal.ts';

const NO_NUMBER = verdictOf('no-number');
const header = new LinkHeader();

/** Seals inner packets for the way to the funnel; without a link key (no session) they are dropped: fail closed. */
export function sealForFunnel(
  vector: PacketVector,
  sad: OutboundSad<ShadowOutboundSa>,
  sealer: LinkSealer | undefined,
  epoch: number,
): void {
  header.kind = LINK_KIND.FUNNEL;
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] !== KEEP) continue;
    header.group = sad.at(vector.saSlot[i] as number)?.sa.group ?? 0;
    vector.verdict[i] = sealer === undefined ? NO_NUMBER : sealer.seal(vector, i, header, epoch);
  }
}
