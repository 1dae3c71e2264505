import { type DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import type { LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import { LINK_FLAG, LINK_KIND } from '../ipsec/link-seal.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import type { VerificationBudget } from '../ipsec/verification-budget.ts';
import { type ClaimedPacket, ClaimedPackets } from './claimed-packets.ts';
import { type ClusterAddresses, classify } from './classify.ts';
import { putCommitted } from './committed-packet.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import type { InboundSad } from './inbound-sad.ts';
import { checkInner, readOpened } from './opened-checks.ts';
import { isRefusedForCongestion } from './outer-marks.ts';
import type { RoutingInboundSa } from './routing-sa.ts';
import type { SealedSender } from './sealed-sender.ts';
import type { TargetChoice } from './target-choice.ts';
import { LARGE_SLOT_BYTES, PacketVector } from './vector.ts';

const ICV = verdictOf('icv');
const DUMMY = verdictOf('dummy');
const CONGESTION = verdictOf('congestion');
const REPLAY = verdictOf('replay');
const REPLAY_CONFLICT = verdictOf('replay-conflict');
const REPLAY_UNDECIDED = verdictOf('replay-undecided');
const HARD_LIMIT = verdictOf('hard-limit');
const NO_TARGET = verdictOf('no-target');
const SA_NOT_SERVING = verdictOf('sa-not-serving');

const VECTOR_PACKETS = 64;
const LARGE_PACKETS = 2;

/** What opening needs of an inbound SA on the routing host. */
export interface OpenedHereSa extends RoutingInboundSa {
  /** Packets of this SA that were opened on this host. */
  openedHere: number;
}

export interface OpeningInboundOptions<Sa extends OpenedHereSa> {
  readonly sad: InboundSad<Sa>;
  readonly addresses: ClusterAddresses;
  readonly crypto: PacketCrypto;
  readonly budget: VerificationBudget;
  readonly choice: TargetChoice;
  readonly sender: SealedSender;
  readonly fragments: FragmentMemory;
  readonly drops: DropCounters;
  /** This host as one more user of the SA's lifesize. */
  readonly meterOf: (entry: Sa) => LifesizeMeter;
  /** Ask the target `owner` to give up a number of the SA. */
  readonly onClaim: (entry: Sa, owner: number, high: number, low: number) => void;
  /** The SA's lifesize was used here, or its suspicion was raised (`isNews`). */
  readonly onOpened: (entry: Sa, isSuspicionNew: boolean) => void;
}

/**
 * The routing host as one that opens packets itself (docs/inbound.md, sections 2 and 10): those whose number may be another's,
 * those of an SA that the chosen target does not serve yet, and, while somebody forges packets of an SA, those of connections
 * that no target has confirmed. What proves genuine is settled here and goes to its target sealed, as *committed*.
 */
export class OpeningInbound<Sa extends OpenedHereSa> {
  readonly #options: OpeningInboundOptions<Sa>;
  readonly #vector = new PacketVector(VECTOR_PACKETS);
  readonly #large = new PacketVector(LARGE_PACKETS, LARGE_SLOT_BYTES);
  readonly #claimed = new ClaimedPackets<Sa>();
  /** Packets whose ICV and trailer proved right here. */
  opened = 0;
  /** Of these: sent to a target that does not serve the SA. */
  inPlaceOfTargets = 0;

  constructor(options: OpeningInboundOptions<Sa>) {
    this.#options = options;
  }

  /** Packets that wait for the answer to a claim. */
  get waiting(): number {
    return this.#claimed.size;
  }

  /** Takes a copy of classified packet `i` to be opened with the next `run`. False: the budget is used up, or there is no room. */
  take(vector: PacketVector, i: number, entry: Sa, now: number): boolean {
    const { length, outerOffset, slab } = vector;
    const at = outerOffset[i] as number;
    const packet = slab.subarray(at, at + (length[i] as number));
    const into = packet.length > this.#vector.roomBytes ? this.#large : this.#vector;
    if (into.count >= into.capacity) this.run(now);
    if (!this.#options.budget.allows(entry.slot, now)) return false;
    const j = into.count;
    if (!into.push(packet)) return false;
    into.saSlot[j] = entry.slot;
    into.sequenceHigh[j] = vector.sequenceHigh[i] as number;
    return true;
  }

  /** Opens what was taken, and sends on what is genuine. */
  run(now: number): void {
    for (const vector of [this.#vector, this.#large]) {
      if (vector.count > 0) this.#run(vector, now);
    }
  }

  /** A target's answer to a claim. False: it was not asked, or contradicts itself (`coupling-not-granted`). */
  claimAnswered(entry: Sa, target: number, high: number, low: number, isGiven: boolean): boolean {
    const outcome = entry.owners.claimAnswered(high, low, target, isGiven);
    const claimed = this.#claimed.take(entry, high, low, target);
    if (claimed === undefined) return outcome !== 'refused';
    if (outcome === 'deliver') this.#deliverClaimed(claimed);
    else this.#options.drops.add(REPLAY);
    claimed.packet.fill(0);
    return outcome !== 'refused';
  }

  /** What waits for this target's answers is undecided for ever. */
  targetLost(target: number): void {
    const { drops } = this.#options;
    drops.add(
      REPLAY_UNDECIDED,
      this.#claimed.drop(({ owner }) => owner === target),
    );
  }

  removed(entry: Sa): void {
    this.#options.drops.add(
      REPLAY_CONFLICT,
      this.#claimed.drop((claimed) => claimed.entry === entry),
    );
  }

  /** Drops what has waited too long for an answer. */
  tick(now: number): void {
    this.#options.drops.add(REPLAY_CONFLICT, this.#claimed.expire(now));
  }

  #run(vector: PacketVector, now: number): void {
    const { addresses, crypto, sender, drops } = this.#options;
    this.#readEsp(vector, addresses);
    crypto.open(vector);
    for (let i = 0; i < vector.count; i++) vector.verdict[i] = this.#settle(vector, i, now);
    sender.send(vector);
    vector.countDrops(drops);
    wipe(vector);
    vector.reset();
  }

  /** `classify` again, on the copy: it forgets which SA and high half were found. */
  #readEsp(vector: PacketVector, addresses: ClusterAddresses): void {
    const highs = vector.sequenceHigh.slice(0, vector.count);
    classify(vector, addresses);
    for (let i = 0; i < vector.count; i++) {
      vector.sequenceHigh[i] = highs[i] as number;
      vector.offset[i] = vector.espOffset[i] as number;
      vector.length[i] = vector.espLength[i] as number;
    }
  }

  #settle(vector: PacketVector, i: number, now: number): Verdict {
    const { sad, onOpened } = this.#options;
    const verdict = vector.verdict[i] as Verdict;
    const entry = sad.at(vector.saSlot[i] as number);
    if (entry === undefined) return verdict === KEEP ? NO_TARGET : verdict;
    if (verdict === ICV) onOpened(entry, entry.suspicion.wrong(1, now));
    if (verdict !== KEEP && verdict !== DUMMY) return verdict;
    if (verdict === KEEP && isRefusedForCongestion(vector, i, entry.sa)) return CONGESTION;
    this.opened++;
    entry.openedHere++;
    const bytes = vector.length[i] as number;
    const bad = verdict === KEEP ? this.#check(vector, i, entry) : verdict;
    const target = bad === KEEP ? this.#options.choice.choose(vector, i, entry, now) : -1;
    const unreachable = bad === KEEP ? reachability(entry, target) : KEEP;
    if (unreachable !== KEEP) return unreachable; // nothing is settled: a repetition may come through
    const settled = this.#takeNumber(vector, i, { entry, target, bytes }, bad, now);
    if (settled !== KEEP) return settled;
    const isWithinLimit = this.#options.meterOf(entry).count(1, bytes);
    onOpened(entry, false);
    if (bad !== KEEP) return bad;
    return isWithinLimit ? this.#hand(vector, i, entry, target) : HARD_LIMIT;
  }

  #check(vector: PacketVector, i: number, { sa, check, dvipa }: Sa): Verdict {
    const bad = readOpened(vector, i, sa);
    if (bad !== KEEP) return bad;
    const filter = dvipa.filterMode === 'filter' ? dvipa.filter : undefined;
    return checkInner(vector, i, { dvipa, check, filter, group: sa.group }, this.#options.fragments);
  }

  /** `KEEP`: the number is spent, for this packet. Of one that is refused anyway (`bad`) nobody is asked for the number. */
  #takeNumber(
    vector: PacketVector,
    i: number,
    to: Pick<ClaimedPacket<Sa>, 'entry' | 'target' | 'bytes'>,
    bad: Verdict,
    now: number,
  ): Verdict {
    const { entry } = to;
    const high = vector.sequenceHigh[i] as number;
    const low = vector.sequenceLow[i] as number;
    const isOwned = entry.owners.isOwned(high, low);
    if (isOwned && bad !== KEEP) return bad;
    if (isOwned && !this.#claimed.hasRoomFor(entry)) return REPLAY_CONFLICT;
    const outcome = entry.owners.opened(high, low);
    if (outcome.kind === 'deliver') return KEEP;
    if (outcome.kind === 'replay') return REPLAY;
    const { owner } = outcome;
    this.#claimed.hold({ ...to, high, low, owner, packet: Buffer.from(vector.packet(i)) }, now);
    this.#options.onClaim(entry, owner, high, low);
    return ELSEWHERE;
  }

  #deliverClaimed(claimed: ClaimedPacket<Sa>): void {
    const { entry, packet, target, bytes, high, low } = claimed;
    const { sender, drops, onOpened } = this.#options;
    const vector = packet.length > this.#vector.roomBytes ? this.#large : this.#vector;
    vector.push(packet);
    const i = vector.count - 1;
    vector.saSlot[i] = entry.slot;
    vector.spi[i] = entry.sa.spi;
    vector.sequenceHigh[i] = high;
    vector.sequenceLow[i] = low;
    const isWithinLimit = this.#options.meterOf(entry).count(1, bytes);
    onOpened(entry, false);
    vector.verdict[i] = isWithinLimit ? this.#hand(vector, i, entry, target) : HARD_LIMIT;
    sender.send(vector);
    vector.countDrops(drops);
    wipe(vector);
    vector.reset();
  }

  #hand(vector: PacketVector, i: number, { sa, serving }: Sa, target: number): Verdict {
    const isServed = serving.has(target);
    if (!isServed) this.inPlaceOfTargets++;
    const flags = isServed ? 0 : LINK_FLAG.FALLBACK;
    putCommitted(vector, i);
    return this.#options.sender.take(vector, i, target, LINK_KIND.COMMITTED, flags, sa.group);
  }
}

function reachability({ serving, isFallbackReady }: OpenedHereSa, target: number): Verdict {
  if (target < 0) return NO_TARGET;
  return serving.has(target) || isFallbackReady ? KEEP : SA_NOT_SERVING;
}

/** What was opened must not lie in the slab until it is used again. */
function wipe(vector: PacketVector): void {
  for (let i = 0; i < vector.count; i++) vector.packet(i).fill(0);
}
