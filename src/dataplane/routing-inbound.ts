import { type DropCounters, ELSEWHERE, KEEP, OPEN_HERE, verdictOf } from '../base/verdict.ts';
import type { KeyedHash } from '../connections/connection-key.ts';
import type { OuterSources } from '../connections/outer-sources.ts';
import { lowestOf, maskOf, NO_TARGETS, type TargetMask } from '../connections/target-mask.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import type { Peeker } from '../ipsec/peek.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import { uint8 } from '../packet/bytes.ts';
import { type ClusterAddresses, classify } from './classify.ts';
import type { ClearRouting } from './clear-routing.ts';
import { putHighHalf } from './extended-dispatch.ts';
import { HoldQueue, TAKEN } from './hold-queue.ts';
import type { InboundSad } from './inbound-sad.ts';
import type { SendingSa } from './sending-sa.ts';
import { PacketTap } from './packet-tap.ts';
import type { PathMtuMessages } from './path-mtu-messages.ts';
import type { JoinedIke } from './joined-ike.ts';
import { LINK_PROTOCOL, type TrustedLink } from './ports.ts';
import { OuterReassembly } from './outer-reassembly.ts';
import type { RoutingInboundSa } from './routing-sa.ts';
import {
  checkPeeked,
  findInbound,
  findInboundAgain,
  isFilteredHere,
  isOpenedFirst,
} from './routing-steps.ts';
import { compareInner, followsInSa, followsOuter } from './runs.ts';
import { ofArrival } from './tap-subjects.ts';
import { AWAITS_FIRST_FRAGMENT, type TargetChoice } from './target-choice.ts';
import { LARGE_SLOT_BYTES, PacketVector } from './vector.ts';

const NOT_ESP = verdictOf('not-esp');
const CLEAR = verdictOf('clear');
const UNKNOWN_SPI = verdictOf('unknown-spi');
const REPLAY_CONFLICT = verdictOf('replay-conflict');
const NO_TARGET = verdictOf('no-target');
const SA_NOT_SERVING = verdictOf('sa-not-serving');
const HOLD_OVERFLOW = verdictOf('hold-overflow');
const FRAGMENT_TIMEOUT = verdictOf('fragment-timeout');

/** Packets for an SPI that is being installed, or an SA that no target serves yet, wait so long. */
const HOLD_PACKETS = 64;
const HOLD_MS = 300;
/** An inner fragment waits so long for the first one of its datagram: it was overtaken on its way. */
const FRAGMENT_HOLD_MS = 100;
/** Datagrams of up to 64 KB that go on at once. */
const LARGE_PACKETS = 4;

/** Opens packets on this host (`opening-inbound.ts`). */
interface Opening<Sa> {
  take(vector: PacketVector, i: number, entry: Sa, now: number): boolean;
  run(now: number): void;
}

export interface RoutingInboundOptions<Sa extends RoutingInboundSa = RoutingInboundSa> {
  readonly sad: InboundSad<Sa>;
  readonly addresses: ClusterAddresses;
  readonly peek: Peeker;
  readonly choice: TargetChoice;
  readonly opening: Opening<Sa>;
  /** Packets of the SA wait, and no target serves it that they could go to. */
  readonly onStarved: (entry: Sa) => void;
  readonly sources: OuterSources;
  /** Keyed hash for the table of outer fragments. */
  readonly fragmentHash: KeyedHash;
  /** What routers on the way to peers say. */
  readonly pathMtu: Pick<PathMtuMessages<SendingSa>, 'take'>;
  /** What is charon's and came joined to ESP; without it, that is dropped. */
  readonly ike?: Pick<JoinedIke, 'take'>;
  /** What came to a DVIPA in clear. */
  readonly clear: Pick<ClearRouting, 'run'>;
  readonly link: TrustedLink;
  /** For captures. */
  readonly tap?: PacketTap;
  readonly drops: DropCounters;
  /** Number of the next dispatch to a target, ascending from 1. */
  readonly nextDispatch: (target: number) => number;
  readonly epoch: () => number;
}

/**
 * The routing host's way in, step by step over a vector (docs/inbound.md): classify, SA, replay pre-check
 * (read-only), peek, tunnel check, inbound filter (mode filter), connection table, dispatch over the trusted
 * link. Nothing here is authenticated, so all it decides is where a packet goes. What cannot be decided without the ICV
 * is left to `opening`.
 */
export class RoutingInbound<Sa extends RoutingInboundSa = RoutingInboundSa> {
  readonly #options: RoutingInboundOptions<Sa>;
  /** For an SPI that is not known (yet), and for an SA that no target serves yet: forgers fill only the first. */
  readonly #unknown = new HoldQueue({ capacity: HOLD_PACKETS, holdMs: HOLD_MS });
  readonly #notServing = new HoldQueue({ capacity: HOLD_PACKETS, holdMs: HOLD_MS });
  readonly #released = new PacketVector(2 * HOLD_PACKETS);
  /** Inner fragments that came before the first one of their datagram. */
  readonly #awaitingFirst = new HoldQueue({ capacity: HOLD_PACKETS, holdMs: FRAGMENT_HOLD_MS });
  /** What was held and is longer than a slot of `#released`. */
  readonly #releasedLarge = new PacketVector(LARGE_PACKETS, LARGE_SLOT_BYTES);
  readonly #reassembly: OuterReassembly;
  readonly #choice: TargetChoice;
  readonly #tap: PacketTap;
  /** Datagrams whose first fragment is in this vector. */
  readonly #firstFragments: number[] = [];
  #targetsUsed: TargetMask = NO_TARGETS;
  /** Where the packet came from that was given to a target last: the engine makes an object of such a number, which a run has in common. */
  #source: number | undefined;
  readonly #routeRebuilt = (rebuilt: PacketVector, now: number) => this.#route(rebuilt, now);
  packets = 0;
  bytes = 0;
  dispatched = 0;

  constructor(options: RoutingInboundOptions<Sa>) {
    this.#options = options;
    this.#reassembly = new OuterReassembly({ hash: options.fragmentHash, drops: options.drops });
    this.#choice = options.choice;
    this.#tap = options.tap ?? new PacketTap();
  }

  /** Packets that wait: for an SA, for a target, for the first fragment. */
  get held(): number {
    return this.#unknown.size + this.#notServing.size + this.#awaitingFirst.size;
  }

  /** One vector from the capture. */
  run(vector: PacketVector, now: number): void {
    const watched = this.#tap.isOn ? this.#tap.watch(vector) : undefined;
    this.packets += vector.count;
    for (let i = 0; i < vector.count; i++) this.bytes += vector.length[i] as number;
    classify(vector, this.#options.addresses);
    this.#takeMessages(vector, now);
    this.#reassembly.take(vector, now, this.#routeRebuilt);
    this.#routeClassified(vector, now);
    if (watched !== undefined) this.#tap.judged('route/outside-in', watched, vector, ofArrival);
  }

  #takeMessages(vector: PacketVector, now: number): void {
    const { ike } = this.#options;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === NOT_ESP && ike !== undefined) vector.verdict[i] = ike.take(vector, i);
      const verdict = vector.verdict[i] as number;
      if (verdict !== NOT_ESP && verdict !== CLEAR) continue;
      vector.verdict[i] = this.#options.pathMtu.take(vector, i, now, verdict);
    }
  }

  /** An SA was installed, or a target began to serve it: what waited for it goes on. */
  release(spi: number, now: number): void {
    for (const queue of [this.#unknown, this.#notServing]) this.#releaseFrom(queue, spi, now);
  }

  #releaseFrom(queue: HoldQueue, waitedFor: number, now: number): void {
    const [vector, large] = [this.#released, this.#releasedLarge];
    vector.reset();
    large.reset();
    queue.drain(waitedFor, (packet) => {
      const isTaken = packet.length > vector.roomBytes ? large.push(packet) : vector.push(packet);
      return isTaken ? TAKEN : waitedFor;
    });
    if (vector.count > 0) this.#route(vector, now);
    if (large.count > 0) this.#route(large, now);
  }

  /** Drops what has waited too long. */
  tick(now: number): void {
    const { drops } = this.#options;
    const count = (verdict: number) => drops.add(verdict);
    this.#unknown.expire(now, () => UNKNOWN_SPI, count);
    this.#notServing.expire(now, () => SA_NOT_SERVING, count);
    for (const spi of this.#notServing.keys()) {
      const entry = this.#options.sad.bySpi(spi);
      if (entry !== undefined && !entry.isWaitingForWindows) this.#options.onStarved(entry);
    }
    this.#awaitingFirst.expire(now, () => FRAGMENT_TIMEOUT, count);
    this.#reassembly.tick(now);
  }

  /** What was held, or put together. */
  #route(vector: PacketVector, now: number): void {
    const watched = this.#tap.isOn ? this.#tap.watch(vector) : undefined;
    classify(vector, this.#options.addresses);
    this.#routeClassified(vector, now);
    if (watched !== undefined) this.#tap.judged('route/released', watched, vector, ofArrival);
  }

  #routeClassified(vector: PacketVector, now: number): void {
    this.#options.clear.run(vector, now);
    this.#lookup(vector, now);
    this.#options.peek.peek(vector);
    this.#checkPeeked(vector);
    this.#distribute(vector, now);
    this.#dispatch(vector);
    vector.countDrops(this.#options.drops);
    this.#options.opening.run(now);
    if (this.#firstFragments.length === 0) return;
    const learnt = this.#firstFragments.splice(0);
    for (const datagram of learnt) this.#releaseFrom(this.#awaitingFirst, datagram, now);
  }

  #lookup(vector: PacketVector, now: number): void {
    const { sad, addresses } = this.#options;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      const verdict = followsOuter(vector, i)
        ? findInboundAgain(vector, i, sad)
        : findInbound(vector, i, sad, addresses);
      if (verdict === UNKNOWN_SPI) {
        vector.verdict[i] = this.#holdBack(this.#unknown, vector, i, now) ? ELSEWHERE : UNKNOWN_SPI;
      } else if (verdict === SA_NOT_SERVING) {
        vector.verdict[i] = this.#holdForTarget(vector, i, sad.bySpi(vector.spi[i] as number) as Sa, now);
      } else vector.verdict[i] = verdict;
    }
  }

  #holdForTarget(vector: PacketVector, i: number, entry: Sa, now: number): number {
    if (!entry.isWaitingForWindows) this.#options.onStarved(entry);
    return this.#holdBack(this.#notServing, vector, i, now) ? ELSEWHERE : HOLD_OVERFLOW;
  }

  #holdBack(queue: HoldQueue, vector: PacketVector, i: number, now: number): boolean {
    return queue.hold(vector.packet(i), vector.spi[i] as number, now);
  }

  /** Claims 3, 8 and (mode filter) 7, on what the peek showed. */
  #checkPeeked(vector: PacketVector): void {
    const { sad } = this.#options;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      const entry = sad.at(vector.saSlot[i] as number) as Sa;
      if (vector.sameOuter[i] === 1) compareInner(vector, i);
      const refused = followsInSa(vector, i) ? KEEP : checkPeeked(vector, i, entry);
      if (refused !== KEEP) vector.verdict[i] = refused;
      else if (isFilteredHere(vector, i, entry)) vector.verdict[i] = entry.dvipa.filter.verdict(vector, i);
    }
  }

  /** Claim 10: the connection table names the target; the number becomes that target's to settle. */
  #distribute(vector: PacketVector, now: number): void {
    this.#targetsUsed = NO_TARGETS;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      vector.verdict[i] = this.#distributeOne(vector, i, now);
    }
  }

  #distributeOne(vector: PacketVector, i: number, now: number): number {
    const { sad, opening } = this.#options;
    const entry = sad.at(vector.saSlot[i] as number) as Sa;
    const isAttacked = entry.suspicion.isRaised(now);
    if (!isAttacked && followsInSa(vector, i))
      return this.#assign(vector, i, entry, vector.target[i - 1] as number, now);
    if (isAttacked && isOpenedFirst(vector, i, entry, this.#choice) && opening.take(vector, i, entry, now))
      return ELSEWHERE;
    const target = this.#choice.choose(vector, i, entry, now, !isAttacked);
    const isFirst = vector.fragment[i] === FRAGMENT.FIRST;
    if (isFirst) this.#firstFragments.push(this.#choice.datagramOf(vector, i, entry));
    if (target === AWAITS_FIRST_FRAGMENT) return this.#holdForFirst(vector, i, entry, now);
    if (target < 0) return NO_TARGET;
    if (entry.serving.has(target)) return this.#assign(vector, i, entry, target, now);
    if (!entry.isFallbackReady) return this.#holdForTarget(vector, i, entry, now);
    return opening.take(vector, i, entry, now) ? ELSEWHERE : SA_NOT_SERVING;
  }

  #holdForFirst(vector: PacketVector, i: number, entry: Sa, now: number): number {
    const datagram = this.#choice.datagramOf(vector, i, entry);
    return this.#awaitingFirst.hold(vector.packet(i), datagram, now) ? ELSEWHERE : HOLD_OVERFLOW;
  }

  #assign(vector: PacketVector, i: number, entry: Sa, target: number, now: number): number {
    const { nextDispatch, sources, opening } = this.#options;
    const dispatch = nextDispatch(target);
    const high = vector.sequenceHigh[i] as number;
    const low = vector.sequenceLow[i] as number;
    const port = vector.outerSourcePort[i] as number;
    if (!followsOuter(vector, i))
      this.#source = sources.numberOf(vector.outerSource, i * ADDRESS_WORDS, port);
    const verdict = entry.owners.decide(high, low, target, dispatch, this.#source);
    if (verdict === OPEN_HERE) return opening.take(vector, i, entry, now) ? ELSEWHERE : REPLAY_CONFLICT;
    if (verdict !== KEEP) return verdict;
    entry.given.add(target, vector.espLength[i] as number);
    vector.target[i] = target;
    const isIpv6 = uint8(vector.slab, vector.outerOffset[i] as number) >> 4 === 6;
    vector.linkProtocol[i] = isIpv6 ? LINK_PROTOCOL.OUTER_IPV6 : LINK_PROTOCOL.OUTER_IPV4;
    if (entry.sa.hasEsn) putHighHalf(vector, i);
    vector.dispatch[i] = dispatch >>> 0;
    this.#targetsUsed |= maskOf(target);
    return KEEP;
  }

  #dispatch(vector: PacketVector): void {
    const { link, epoch } = this.#options;
    for (let rest = this.#targetsUsed; rest !== NO_TARGETS; rest &= rest - 1)
      this.dispatched += link.send(vector, lowestOf(rest), epoch());
    if (this.#tap.isOn) this.#tap.passing('route/link-out', vector, ofArrival);
  }
}
