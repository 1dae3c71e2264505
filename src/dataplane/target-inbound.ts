import { type DropCounters, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import type { LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import type { PathFit } from '../ipsec/path-fit.ts';
import type { LeasedPorts } from './opened-flows.ts';
import type { ReplayWindow } from '../ipsec/replay-window.ts';
import type { TunnelCheck } from '../ipsec/tunnel-check.ts';
import { ADDRESS_WORDS, equalAddresses, type IpAddress, newAddress } from '../packet/address.ts';
import { type ClusterAddresses, classify, isFromOurselves } from './classify.ts';
import type { DispatchFloor } from './dispatch-floor.ts';
import type { ClearDvipa } from './clear-check.ts';
import type { FilterMode, InboundFilter } from './inbound-filter.ts';
import { takeHighHalf } from './extended-dispatch.ts';
import type { InboundEntry, InboundSad } from './inbound-sad.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import type { InnerDelivery } from './inner-delivery.ts';
import { checkInner, type InnerRules, readOpened } from './opened-checks.ts';
import { isRefusedForCongestion } from './outer-marks.ts';
import type { CommittedNumbers } from './replay-reports.ts';
import { PacketTap } from './packet-tap.ts';
import { followsInSa, followsOuter } from './runs.ts';
import { ofArrival } from './tap-subjects.ts';
import { TouchedEntries } from './touched-entries.ts';
import type { PacketVector } from './vector.ts';

const UNKNOWN_SPI = verdictOf('unknown-spi');
const REPLAY = verdictOf('replay');
const LINK_EPOCH = verdictOf('link-epoch');
const TUNNEL_CHECK = verdictOf('tunnel-check');
const LINK_MALFORMED = verdictOf('link-malformed');
const LINK_REPLAY = verdictOf('link-replay');
const ICV = verdictOf('icv');
const DUMMY = verdictOf('dummy');
const CONGESTION = verdictOf('congestion');
const HARD_LIMIT = verdictOf('hard-limit');

/** Settings of a DVIPA that this target serves. */
export interface ServedDvipa extends ClearDvipa {
  readonly filterMode: FilterMode;
  /** Whose source ports are whose; undefined: nobody's. */
  readonly sourcePorts?: LeasedPorts | undefined;
}

/** A shadow SA, inbound. */
export interface ShadowInboundSa extends InboundEntry {
  /** Wider than the SA's own window by what one report round trip carries (docs/inbound.md). */
  readonly window: ReplayWindow;
  /** Nothing was missing in it when the SA was installed. */
  isWindowComplete: boolean;
  readonly check: TunnelCheck;
  readonly dvipa: ServedDvipa;
  readonly meter: LifesizeMeter;
  readonly committed: CommittedNumbers;
  /** Packets that failed to open since this was reported. */
  wrongIcvs: number;
  /** What our answers may be as long as. */
  fit: PathFit;
  /** Where charon has the peer: outer source address and UDP port (0: native ESP). Follows `sa-update`. */
  peerAddress: IpAddress;
  peerPort: number;
}

export interface TargetInboundOptions {
  readonly sad: InboundSad<ShadowInboundSa>;
  readonly crypto: PacketCrypto;
  readonly drops: DropCounters;
  /** Datagrams whose first fragment has passed every check. */
  readonly fragments: FragmentMemory;
  readonly delivery: InnerDelivery;
  /** For captures. */
  readonly tap?: PacketTap;
  /**
   * An authenticated packet, with the highest number of this SA so far, came from elsewhere than charon has the peer.
   * Called for each such packet until the SA is updated; before its number can be reported.
   */
  readonly onMoved: (entry: ShadowInboundSa, vector: PacketVector, i: number) => void;
  /** The numbers of this SA must be reported now. */
  readonly onReportDue: (entry: ShadowInboundSa) => void;
}

/**
 * A target's way in, in the order of docs/inbound.md: epoch, dispatch, shadow SA, coarse window check, open
 * (ICV), window check and commit, trailer, tunnel check on the authenticated packet, filter (mode bypass),
 * peers that look alike, TUN.
 * Nothing is committed, counted or reported before the ICV (RFC 4303 section 3.4.3).
 */
export class TargetInbound {
  readonly #options: TargetInboundOptions;
  readonly #tap: PacketTap;
  /** SAs that the last vector had packets for, whatever became of them: they have something to settle. */
  readonly touched = new TouchedEntries<ShadowInboundSa>();
  /** Inbound packets opened (ICV right) on this host. */
  opened = 0;
  linkPackets = 0;

  constructor(options: TargetInboundOptions) {
    this.#options = options;
    this.#tap = options.tap ?? new PacketTap();
  }

  /**
   * One vector of outer datagrams from the trusted link. `epoch` is the one they carry, `current` the owner's (0: none yet);
   * `floor` numbers the dispatches of the current epoch. `isExtended`: the packets have high halves in front.
   */
  run(
    vector: PacketVector,
    epoch: number,
    current: number,
    addresses: ClusterAddresses,
    floor: DispatchFloor,
    isExtended = false,
  ): void {
    const watched = this.#tap.isOn ? this.#tap.watch(vector) : undefined;
    this.linkPackets += vector.count;
    this.touched.clear();
    if (epoch !== current || epoch === 0) vector.verdict.fill(LINK_EPOCH, 0, vector.count);
    else this.#refuseRepeatedDispatches(vector, floor);
    if (isExtended) takeHighHalves(vector);
    classify(vector, addresses);
    this.#lookup(vector, isExtended, addresses);
    this.#toEsp(vector);
    this.#options.crypto.open(vector);
    this.#commit(vector);
    if (watched !== undefined) this.#tap.passing('target/opened', vector, ofArrival);
    this.#checkOpened(vector);
    this.#options.delivery.deliver(vector);
    vector.countDrops(this.#options.drops);
    if (watched === undefined) return;
    this.#tap.passing('target/tun-out', vector, ofArrival);
    this.#tap.judged('target/link-in', watched, vector, ofArrival);
  }

  #refuseRepeatedDispatches(vector: PacketVector, floor: DispatchFloor): void {
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      if (!floor.accept(vector.dispatch[i] as number)) vector.verdict[i] = LINK_REPLAY;
    }
  }

  /** Shadow cache (claim 11), then the coarse window check, which changes nothing. */
  #lookup(vector: PacketVector, isExtended: boolean, addresses: ClusterAddresses): void {
    const { sad } = this.#options;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      vector.verdict[i] = followsOuter(vector, i)
        ? findShadowAgain(vector, i, sad, isExtended)
        : findShadow(vector, i, sad, addresses, isExtended);
      const entry = sad.at(vector.saSlot[i] as number);
      if (entry !== undefined) this.touched.add(entry);
    }
  }

  #toEsp(vector: PacketVector): void {
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      vector.offset[i] = vector.espOffset[i] as number;
      vector.length[i] = vector.espLength[i] as number;
    }
  }

  /** The packets that are left are authenticated. Two with one number in one vector: the second loses here. */
  #commit(vector: PacketVector): void {
    const { sad, onMoved, onReportDue } = this.#options;
    for (let i = 0; i < vector.count; i++) {
      const isDummy = vector.verdict[i] === DUMMY;
      if (vector.verdict[i] === ICV) this.#countWrongIcv(vector, i);
      if (vector.verdict[i] !== KEEP && !isDummy) continue;
      const entry = sad.at(vector.saSlot[i] as number) as ShadowInboundSa;
      const high = vector.sequenceHigh[i] as number;
      const low = vector.sequenceLow[i] as number;
      if (!isDummy && isRefusedForCongestion(vector, i, entry.sa)) {
        vector.verdict[i] = CONGESTION;
        continue;
      }
      this.opened++;
      if (!entry.window.commit(high, low)) {
        vector.verdict[i] = REPLAY;
        continue;
      }
      if (isMoved(vector, i, entry) && isHighest(vector, i, entry)) onMoved(entry, vector, i);
      if (entry.committed.isFull) onReportDue(entry);
      entry.committed.add(high, low);
      if (!entry.meter.count(1, vector.length[i] as number)) vector.verdict[i] = HARD_LIMIT;
    }
  }

  #countWrongIcv(vector: PacketVector, i: number): void {
    const entry = this.#options.sad.at(vector.saSlot[i] as number);
    if (entry !== undefined) entry.wrongIcvs++;
  }

  /** Trailer, tunnel check (claim 8), filter (claim 6), and on to the application. */
  #checkOpened(vector: PacketVector): void {
    const { sad } = this.#options;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      const entry = sad.at(vector.saSlot[i] as number) as ShadowInboundSa;
      const bad = readOpened(vector, i, entry.sa);
      if (bad !== KEEP) vector.verdict[i] = bad;
      else if (followsInSa(vector, i)) this.#admitAgain(vector, i, entry);
      else this.#admit(vector, i, entry);
    }
  }

  #admit(vector: PacketVector, i: number, { sa, dvipa, check, fit }: ShadowInboundSa): void {
    const { delivery, fragments } = this.#options;
    rules.dvipa = dvipa;
    rules.check = check;
    rules.filter = filterHere(dvipa);
    rules.group = sa.group;
    const verdict = checkInner(vector, i, rules, fragments);
    if (verdict === KEEP) delivery.admit(vector, i, sa.group, fit);
    else vector.verdict[i] = verdict;
  }

  /** The same for a packet that follows one of its SA which was admitted: what counts packets counts this one too. */
  #admitAgain(vector: PacketVector, i: number, { sa, dvipa }: ShadowInboundSa): void {
    const refused = filterHere(dvipa)?.verdict(vector, i) ?? KEEP;
    if (refused === KEEP) this.#options.delivery.admitAgain(vector, i, sa.group);
    else vector.verdict[i] = refused;
  }
}

/** Undefined: the routing host filters. */
function filterHere({ filterMode, filter }: ServedDvipa): InboundFilter | undefined {
  return filterMode === 'bypass' ? filter : undefined;
}

/** What the packet at hand is checked against: one for all, since this is done for each. */
const rules: { -readonly [Rule in keyof InnerRules]: InnerRules[Rule] } = {
  dvipa: { address: newAddress() },
  check: undefined,
  filter: undefined,
  group: 0,
};

/** SA and number of classified packet `i`: sets `saSlot` and the high half. Changes no state: `dvipa trace` asks it as well. */
export function findShadow(
  vector: PacketVector,
  i: number,
  sad: InboundSad<ShadowInboundSa>,
  addresses: ClusterAddresses,
  isExtended: boolean,
): Verdict {
  const spi = (vector.spi[i] as number) | 0; // signed, so that it is no object
  const slot = sad.lookup(spi, vector.outerDestination, i * ADDRESS_WORDS);
  const entry = sad.at(slot);
  if (entry === undefined) return UNKNOWN_SPI;
  vector.saSlot[i] = slot;
  if (isFromOurselves(vector, i, addresses)) return TUNNEL_CHECK;
  if (entry.sa.hasEsn !== isExtended) return LINK_MALFORMED;
  return checkNumber(vector, i, entry, isExtended);
}

/** The same for a packet that follows one of its SA (`followsOuter`). */
function findShadowAgain(
  vector: PacketVector,
  i: number,
  sad: InboundSad<ShadowInboundSa>,
  isExtended: boolean,
): Verdict {
  const slot = vector.saSlot[i - 1] as number;
  vector.saSlot[i] = slot;
  return checkNumber(vector, i, sad.at(slot) as ShadowInboundSa, isExtended);
}

function checkNumber(
  vector: PacketVector,
  i: number,
  { window }: ShadowInboundSa,
  isExtended: boolean,
): Verdict {
  const low = vector.sequenceLow[i] as number;
  const high = isExtended ? (vector.linkHigh[i] as number) : 0;
  vector.sequenceHigh[i] = high;
  return window.check(high, low) ? KEEP : REPLAY;
}

function takeHighHalves(vector: PacketVector): void {
  for (let i = 0; i < vector.count; i++) {
    if (vector.verdict[i] === KEEP) vector.verdict[i] = takeHighHalf(vector, i);
  }
}

/** The outer source is not where charon has the peer. Says something only after the ICV. */
function isMoved(vector: PacketVector, i: number, { peerAddress, peerPort }: ShadowInboundSa): boolean {
  const isThere = equalAddresses(vector.outerSource, i * ADDRESS_WORDS, peerAddress, 0);
  return !isThere || vector.outerSourcePort[i] !== peerPort;
}

/** Just committed, and nothing newer before it: not one that was held back on its way. */
function isHighest(vector: PacketVector, i: number, { window }: ShadowInboundSa): boolean {
  return vector.sequenceHigh[i] === window.topHigh && vector.sequenceLow[i] === window.topLow;
}
