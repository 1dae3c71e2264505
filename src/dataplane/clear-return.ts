import { type DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { CLEAR_GROUP, type ConnectionKey } from '../connections/connection-key.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { AddressMap } from '../packet/address-map.ts';
import { ClearCheck, type ClearDvipa, type Covers, mayAnswer } from './clear-check.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import type { PacketSink } from './ports.ts';
import { PacketVector, slotBytesFor } from './vector.ts';

const NO_POLICY = verdictOf('no-policy');
const TOO_BIG = verdictOf('too-big');

/** Packets that go out together. */
const OUT_PACKETS = 64;

export interface ClearReturnOptions {
  readonly dvipas: AddressMap<ClearDvipa>;
  readonly covers: Covers;
  /** This host is the owner, and knows charon's policies. Else nothing passes. */
  readonly isReady: () => boolean;
  /** Was the target given this connection (`Distributor.mayReport`)? */
  readonly isGiven: (connection: ConnectionKey, target: number, now: number) => boolean;
  /** Datagrams whose first fragment went out, with the target that sent it. */
  readonly fragments: FragmentMemory;
  readonly raw: PacketSink;
  /** In bytes, of the link towards the peers. */
  readonly outsideMtu: number;
  readonly drops: DropCounters;
}

/**
 * Answers in clear of DVIPAs with `return: router`: targets hand them over sealed, and this host sends them, so that no target sends with the
 * DVIPA's address itself. What it sends it has judged again, by rules and policies and by what the target was given.
 */
export class ClearReturn {
  readonly #options: ClearReturnOptions;
  readonly #check: ClearCheck;
  readonly #out: PacketVector;
  packets = 0;
  bytes = 0;

  constructor(options: ClearReturnOptions) {
    this.#options = options;
    this.#check = new ClearCheck(options.dvipas, options.covers);
    this.#out = new PacketVector(OUT_PACKETS, slotBytesFor(options.outsideMtu));
  }

  /** Opened packet `i` of target `target`; its headers were read, its source is a DVIPA of that target. ELSEWHERE: it leaves with `flush`. */
  take(vector: PacketVector, i: number, target: number, now: number): Verdict {
    if (!this.#options.isReady() || !this.#mayLeave(vector, i, target, now)) return NO_POLICY;
    if (this.#out.count === this.#out.capacity) this.flush();
    return this.#out.push(vector.packet(i)) ? ELSEWHERE : TOO_BIG;
  }

  flush(): void {
    const out = this.#out;
    if (out.count === 0) return;
    this.packets += this.#options.raw.send(out);
    for (let i = 0; i < out.count; i++) if (out.verdict[i] === KEEP) this.bytes += out.length[i] as number;
    out.countDrops(this.#options.drops);
    out.reset();
  }

  #mayLeave(vector: PacketVector, i: number, target: number, now: number): boolean {
    const { dvipas, fragments, isGiven } = this.#options;
    if (dvipas.get(vector.innerSource, i * ADDRESS_WORDS)?.returnVia !== 'router') return false;
    const fragment = vector.fragment[i];
    if (fragment === FRAGMENT.LATER) return fragments.lookup(vector, i, CLEAR_GROUP) === target;
    if (!mayAnswer(vector, i) || !this.#check.outbound(vector, i)) return false;
    if (!isGiven(this.#check.connection, target, now)) return false;
    if (fragment === FRAGMENT.FIRST) fragments.learn(vector, i, CLEAR_GROUP, target);
    return true;
  }
}
