import { type DropCounters, KEEP, SENT, type Verdict, verdictOf } from '../base/verdict.ts';
import { CLEAR_GROUP } from '../connections/connection-key.ts';
import type { Distributor } from '../connections/distributor.ts';
import { LINK_KIND } from '../ipsec/link-seal.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { AddressMap } from '../packet/address-map.ts';
import type { FragmentSink } from '../packet/fragmentation.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { hasValidTcpChecksum } from '../packet/tcp.ts';
import { cutTcp } from '../packet/tcp-segmentation.ts';
import { ClearCheck, type ClearDvipa, type Covers } from './clear-check.ts';
import { SEALED_LINK_BYTES, type SealedSender } from './sealed-sender.ts';
import { type ChoosingSa, TargetChoice } from './target-choice.ts';
import { finishChecksum, upperAt } from './unfinished-checksum.ts';
import { PacketVector, slotBytesFor } from './vector.ts';

const CLEAR = verdictOf('clear');
const PATH_MTU_REFUSED = verdictOf('path-mtu-refused');
const NO_TARGET = verdictOf('no-target');
const CHECKSUM = verdictOf('checksum');
const TOO_BIG = verdictOf('too-big');

const IP_PACKET_MAX_BYTES = 65_535;
/** Of IPv6 with a few extensions and TCP with all options; of a packet with more the last pieces are dropped as `too-big`. */
const HEADERS_MAX_BYTES = 160;

export interface ClearRoutingOptions {
  /** DVIPAs with their settings; those that distribute no clear text may be missing. */
  readonly dvipas: AddressMap<ClearDvipa>;
  /** Whether a policy wants packets of the connection protected. */
  readonly covers: Covers;
  /** Policies are known: charon's have been listed, and this host is the owner. Until then nothing passes. */
  readonly isReady: () => boolean;
  readonly distributor: Distributor;
  readonly sender: SealedSender;
  /** MTU of the cluster network, bytes. */
  readonly clusterMtu: number;
  readonly drops: DropCounters;
}

/**
 * The routing host's way for clear text, of DVIPAs that distribute it (docs/inbound.md, section 5): rules and policies, connection table under group 0,
 * and to the target as any packet that is not ESP: sealed. What is refused stays what it was, `clear`.
 */
export class ClearRouting {
  readonly #options: ClearRoutingOptions;
  readonly #check: ClearCheck;
  readonly #choice: TargetChoice;
  /** What fits into a sealed packet on the cluster network. */
  readonly #mtu: number;
  readonly #piece: Buffer;
  readonly #pieces: PacketVector;
  readonly #emit: FragmentSink = (slab, offset, length) => {
    if (!this.#pieces.push(slab.subarray(offset, offset + length))) this.#options.drops.add(TOO_BIG);
  };
  /** Packets of this vector that are sealed. */
  readonly #sealed: number[] = [];

  constructor(options: ClearRoutingOptions) {
    this.#options = options;
    this.#check = new ClearCheck(options.dvipas, options.covers);
    this.#choice = new TargetChoice(options.distributor);
    this.#mtu = options.clusterMtu - SEALED_LINK_BYTES;
    this.#piece = Buffer.alloc(this.#mtu);
    const most = Math.ceil(IP_PACKET_MAX_BYTES / (this.#mtu - HEADERS_MAX_BYTES));
    this.#pieces = new PacketVector(most, slotBytesFor(this.#mtu));
  }

  /** Takes what a classified vector has in clear, before anything else has chosen targets in it. */
  run(vector: PacketVector, now: number): void {
    const { dvipas, isReady } = this.#options;
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
    this.#send(vector);
  }

  #send(vector: PacketVector): void {
    if (this.#sealed.length === 0) return;
    this.#options.sender.send(vector);
    // What the link refused has its reason by now.
    for (const i of this.#sealed) if (vector.verdict[i] === KEEP) vector.verdict[i] = SENT;
    this.#sealed.length = 0;
  }

  /** The target that packet `i` in clear would go to, or why it is refused; nothing is noted. The outer columns were read. */
  preview(vector: PacketVector, i: number, now: number): { target: number } | { refused: Verdict } {
    const { dvipas, isReady } = this.#options;
    const dvipa = dvipas.get(vector.outerDestination, i * ADDRESS_WORDS);
    if (!isReady() || dvipa?.distributesClear !== true) return { refused: CLEAR };
    const refused = this.#check.preview(vector, i);
    if (refused !== KEEP) return { refused };
    const target = this.#choice.preview(vector, i, clearSaOf(dvipa), now);
    return target < 0 ? { refused: NO_TARGET } : { target };
  }

  #take(vector: PacketVector, i: number, dvipa: ClearDvipa, now: number): Verdict {
    const refused = this.#check.inbound(vector, i);
    if (refused !== KEEP) return refused;
    const target = this.#choice.choose(vector, i, clearSaOf(dvipa), now);
    if (target < 0) return NO_TARGET;
    const isFinished = finishChecksum(vector, i);
    const isLong = (vector.length[i] as number) > this.#mtu && vector.protocol[i] === IP_PROTOCOL.TCP;
    return isLong ? this.#cut(vector, i, target, isFinished) : this.#hand(vector, i, target);
  }

  #hand(vector: PacketVector, i: number, target: number): Verdict {
    return this.#options.sender.take(vector, i, target, LINK_KIND.CLEAR, 0, CLEAR_GROUP);
  }

  /** Many segments in one: each goes by itself, behind what stands before it. */
  #cut(vector: PacketVector, i: number, target: number, isFinished: boolean): Verdict {
    const { slab } = vector;
    const [offset, length] = [vector.offset[i] as number, vector.length[i] as number];
    const upper = upperAt(vector, i);
    const words = i * ADDRESS_WORDS;
    const { innerSource, innerDestination } = vector;
    const isRight =
      isFinished ||
      hasValidTcpChecksum(slab, upper, offset + length - upper, innerSource, words, innerDestination, words);
    if (!isRight) return CHECKSUM;
    this.#send(vector);
    const pieces = this.#pieces;
    pieces.reset();
    const bad = cutTcp(slab, offset, length, upper, this.#mtu, this.#piece, this.#emit);
    if (bad !== KEEP) return bad;
    for (let n = 0; n < pieces.count; n++) pieces.verdict[n] = this.#hand(pieces, n, target);
    this.#options.sender.send(pieces);
    pieces.countDrops(this.#options.drops);
    return SENT;
  }
}

const WHOEVER_SERVES_THE_DVIPA: ReadonlySet<number> = new Set();
const clearSas = new WeakMap<ClearDvipa, ChoosingSa>();

/** What stands in place of an SA where a target is chosen. */
function clearSaOf(dvipa: ClearDvipa): ChoosingSa {
  let sa = clearSas.get(dvipa);
  if (sa === undefined) {
    sa = { sa: { group: CLEAR_GROUP }, dvipa, serving: WHOEVER_SERVES_THE_DVIPA };
    clearSas.set(dvipa, sa);
  }
  return sa;
}
