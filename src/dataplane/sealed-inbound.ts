import { type DropCounters, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { LINK_FLAG, LINK_KIND, LinkHeaders, type LinkOpener } from '../ipsec/link-seal.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { AddressMap } from '../packet/address-map.ts';
import type { ClearText } from './clear-text.ts';
import { takeCommitted } from './committed-packet.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import type { InboundSad } from './inbound-sad.ts';
import type { InnerDelivery } from './inner-delivery.ts';
import { readInnerHeaders } from './inner-headers.ts';
import { checkInner } from './opened-checks.ts';
import type { PacketTap } from './packet-tap.ts';
import { ofArrival } from './tap-subjects.ts';
import type { ServedDvipa, ShadowInboundSa } from './target-inbound.ts';
import type { PacketVector } from './vector.ts';

const LINK_EPOCH = verdictOf('link-epoch');
const LINK_UNKNOWN_KIND = verdictOf('link-unknown-kind');
const INNER_NOT_DVIPA = verdictOf('inner-not-dvipa');
const UNKNOWN_SPI = verdictOf('unknown-spi');

export interface SealedInboundOptions {
  readonly sad: InboundSad<ShadowInboundSa>;
  readonly opener: LinkOpener;
  /** The DVIPAs that this target serves. */
  readonly dvipas: AddressMap<ServedDvipa>;
  readonly fragments: FragmentMemory;
  readonly delivery: InnerDelivery;
  /** For what came in clear. */
  readonly clear: Pick<ClearText, 'inbound'>;
  /** For captures. */
  readonly tap?: PacketTap;
  readonly drops: DropCounters;
}

/**
 * A target's second way in: sealed packets of the routing host (`link-seal.ts`). What is *committed* was authenticated there,
 * and its number settled, so it passes this host's window; it is marked in it, since a routing host that was restarted learns from the
 * targets' windows what was delivered (docs/inbound.md, section 2). Lifesize counts where the packet was opened.
 * What is *clear* is judged here again.
 */
export class SealedInbound {
  readonly #options: SealedInboundOptions;
  readonly #headers = new LinkHeaders();
  packets = 0;

  constructor(options: SealedInboundOptions) {
    this.#options = options;
  }

  /** One vector of sealed link packets; `epoch` is the one they carry, `current` the owner's (0: none yet). */
  run(vector: PacketVector, epoch: number, current: number): void {
    this.packets += vector.count;
    const isCurrent = epoch === current && epoch !== 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      if (!isCurrent) vector.verdict[i] = LINK_EPOCH;
    }
    this.#options.opener.open(vector, epoch, this.#headers);
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === KEEP) vector.verdict[i] = this.#take(vector, i);
    }
    this.#options.delivery.deliver(vector);
    const { tap } = this.#options;
    if (tap?.isOn === true) tap.passing('target/tun-out', vector, ofArrival);
    vector.countDrops(this.#options.drops);
  }

  #take(vector: PacketVector, i: number): Verdict {
    const kind = this.#headers.kind[i];
    if (kind === LINK_KIND.COMMITTED) return this.#committed(vector, i);
    return kind === LINK_KIND.CLEAR ? this.#options.clear.inbound(vector, i) : LINK_UNKNOWN_KIND;
  }

  #committed(vector: PacketVector, i: number): Verdict {
    const { sad, dvipas, fragments, delivery } = this.#options;
    const bad = takeCommitted(vector, i);
    if (bad !== KEEP) return bad;
    const entry = sad.bySpi(vector.spi[i] as number);
    const isFallback = ((this.#headers.flags[i] as number) & LINK_FLAG.FALLBACK) !== 0;
    if (entry === undefined && !isFallback) return UNKNOWN_SPI;
    entry?.window.commit(vector.sequenceHigh[i] as number, vector.sequenceLow[i] as number);
    const malformed = readInnerHeaders(vector, i);
    if (malformed !== KEEP) return malformed;
    const dvipa = entry?.dvipa ?? dvipas.get(vector.innerDestination, i * ADDRESS_WORDS);
    if (dvipa === undefined) return INNER_NOT_DVIPA;
    const group = this.#headers.group[i] as number;
    const filter = dvipa.filterMode === 'bypass' ? dvipa.filter : undefined;
    const refused = checkInner(vector, i, { dvipa, check: entry?.check, filter, group }, fragments);
    if (refused !== KEEP) return refused;
    delivery.admit(vector, i, group, entry?.fit);
    return vector.verdict[i] as Verdict;
  }
}
