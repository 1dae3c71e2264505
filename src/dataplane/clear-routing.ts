import { KEEP, SENT, type Verdict, verdictOf } from '../base/verdict.ts';
import { CLEAR_GROUP } from '../connections/connection-key.ts';
import type { Distributor } from '../connections/distributor.ts';
import { LINK_KIND, LinkHeader } from '../ipsec/link-seal.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { AddressMap } from '../packet/address-map.ts';
import { ClearCheck, type ClearDvipa, type Covers } from './clear-check.ts';
import type { SealedSender } from './sealed-sender.ts';
import { type ChoosingSa, TargetChoice } from './target-choice.ts';
import { finishChecksum } from './unfinished-checksum.ts';
import type { PacketVector } from './vector.ts';

const CLEAR = verdictOf('clear');
const PATH_MTU_REFUSED = verdictOf('path-mtu-refused');
const NO_TARGET = verdictOf('no-target');

export interface ClearRoutingOptions {
  /** DVIPAs with their settings; those that distribute no clear text may be missing. */
  readonly dvipas: AddressMap<ClearDvipa>;
  /** Whether a policy wants packets of the connection protected. */
  readonly covers: Covers;
  /** Policies are known: charon's have been listed, and this host is the owner. Until then nothing passes. */
  readonly isReady: () => boolean;
  readonly distributor: Distributor;
  readonly sender: SealedSender;
}

/**
 * The routing host's way for clear text, of DVIPAs that distribute it (docs/inbound.md, section 5): rules and policies, connection table under group 0,
 * and to the target as any packet that is not ESP: sealed. What is refused stays what it was, `clear`.
 */
export class ClearRouting {
  readonly #options: ClearRoutingOptions;
  readonly #check: ClearCheck;
  readonly #choice: TargetChoice;
  readonly #header = new LinkHeader();
  /** Packets of this vector that are sealed. */
  readonly #sealed: number[] = [];
  packets = 0;

  constructor(options: ClearRoutingOptions) {
    this.#options = options;
    this.#check = new ClearCheck(options.dvipas, options.covers);
    this.#choice = new TargetChoice(options.distributor);
  }

  /** Takes what a classified vector has in clear, before anything else has chosen targets in it. */
  run(vector: PacketVector, now: number): void {
    const { dvipas, sender, isReady } = this.#options;
    if (dvipas.size === 0 || !isReady()) return;
    for (let i = 0; i < vector.count; i++) {
      const verdict = vector.verdict[i] as Verdict;
      // A message about a path that is no SA's may be about a connection in clear.
      if (verdict !== CLEAR && verdict !== PATH_MTU_REFUSED) continue;
      const dvipa = dvipas.get(vector.outerDestination, i * ADDRESS_WORDS);
      if (dvipa?.distributesClear !== true) continue;
      const taken = this.#take(vector, i, dvipa, now);
      if (taken !== CLEAR) vector.verdict[i] = taken;
      if (taken === KEEP) this.#sealed.push(i);
    }
    if (this.#sealed.length === 0) return;
    sender.send(vector);
    // What the link refused has its reason by now.
    for (const i of this.#sealed) if (vector.verdict[i] === KEEP) vector.verdict[i] = SENT;
    this.packets += this.#sealed.length;
    this.#sealed.length = 0;
  }

  #take(vector: PacketVector, i: number, dvipa: ClearDvipa, now: number): Verdict {
    const refused = this.#check.inbound(vector, i);
    if (refused !== KEEP) return refused;
    const target = this.#choice.choose(vector, i, clearSaOf(dvipa), now);
    if (target < 0) return NO_TARGET;
    finishChecksum(vector, i);
    this.#header.kind = LINK_KIND.CLEAR;
    this.#header.flags = 0;
    this.#header.group = CLEAR_GROUP;
    return this.#options.sender.seal(vector, i, target, this.#header);
  }
}

const clearSas = new WeakMap<ClearDvipa, ChoosingSa>();

/** What stands in place of an SA where a target is chosen. */
function clearSaOf(dvipa: ClearDvipa): ChoosingSa {
  let sa = clearSas.get(dvipa);
  if (sa === undefined) {
    sa = { sa: { group: CLEAR_GROUP }, dvipa, serving: undefined };
    clearSas.set(dvipa, sa);
  }
  return sa;
}
