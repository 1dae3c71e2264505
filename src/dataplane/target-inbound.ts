import { type DropCounters, KEEP, verdictOf } from '../base/verdict.ts';
import { tunnelNextHeader } from '../ipsec/esp-trailer.ts';
import type { LifesizeMeter } from '../ipsec/lifesize-meter.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import type { PathFit } from '../ipsec/path-fit.ts';
import type { ReplayWindow } from '../ipsec/replay-window.ts';
import type { TunnelCheck } from '../ipsec/tunnel-check.ts';
import { ADDRESS_WORDS, equalAddresses, type IpAddress } from '../packet/address.ts';
import { type ClusterAddresses, classify } from './classify.ts';
import type { DispatchFloor } from './dispatch-floor.ts';
import type { FilterMode, InboundFilter } from './inbound-filter.ts';
import type { InboundEntry, InboundSad } from './inbound-sad.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import { readInnerHeaders } from './inner-headers.ts';
import type { PacketSink } from './ports.ts';
import type { CommittedNumbers } from './replay-reports.ts';
import { clampSyn } from './syn-mss.ts';
import { restoreTransportHeader } from './transport-mode.ts';
import type { PacketVector } from './vector.ts';

const UNKNOWN_SPI = verdictOf('unknown-spi');
const REPLAY = verdictOf('replay');
const LINK_EPOCH = verdictOf('link-epoch');
const LINK_REPLAY = verdictOf('link-replay');
const DUMMY = verdictOf('dummy');
const MALFORMED = verdictOf('malformed');
const INNER_NOT_DVIPA = verdictOf('inner-not-dvipa');
const TUNNEL_CHECK = verdictOf('tunnel-check');
const LOOK_ALIKE = verdictOf('look-alike');
const HARD_LIMIT = verdictOf('hard-limit');

/** Settings of a DVIPA that this target serves. */
export interface ServedDvipa {
  readonly address: IpAddress;
  readonly filterMode: FilterMode;
  readonly filter: InboundFilter;
}

/** A shadow SA, inbound. */
export interface ShadowInboundSa extends InboundEntry {
  /** Wider than the SA's own window by what one report round trip carries (docs/inbound.md). */
  readonly window: ReplayWindow;
  readonly check: TunnelCheck;
  readonly dvipa: ServedDvipa;
  readonly meter: LifesizeMeter;
  readonly committed: CommittedNumbers;
  /** What our answers may be as long as. */
  fit: PathFit;
  /** Where charon has the peer: outer source address and UDP port (0: native ESP). Follows `sa-update`. */
  peerAddress: IpAddress;
  peerPort: number;
}

export interface TargetInboundOptions {
  readonly sad: InboundSad<ShadowInboundSa>;
  readonly crypto: PacketCrypto;
  readonly tun: PacketSink;
  readonly drops: DropCounters;
  /** Datagrams whose first fragment has passed every check. */
  readonly fragments: FragmentMemory;
  /** Of an authenticated packet: false if its connection is another peer's that looks like this one. */
  readonly admits: (vector: PacketVector, i: number, group: number) => boolean;
  /** Authenticated packets, on their way to the application: for flow tracking. Inner columns are filled in. */
  readonly onAuthenticated: (vector: PacketVector, i: number, entry: ShadowInboundSa) => void;
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
  /** SAs that the last vector had packets for, whatever became of them: they have something to settle. */
  readonly touched = new Set<ShadowInboundSa>();
  /** Inbound packets opened (ICV right) on this host. */
  opened = 0;
  deliveredPackets = 0;
  deliveredBytes = 0;
  linkPackets = 0;

  constructor(options: TargetInboundOptions) {
    this.#options = options;
  }

  /**
   * One vector of outer datagrams from the trusted link. `epoch` is the one they carry, `current` the owner's (0: none yet);
   * `floor` numbers the dispatches of the current epoch.
   */
  run(
    vector: PacketVector,
    epoch: number,
    current: number,
    addresses: ClusterAddresses,
    floor: DispatchFloor,
  ): void {
    this.linkPackets += vector.count;
    this.touched.clear();
    if (epoch !== current || epoch === 0) vector.verdict.fill(LINK_EPOCH, 0, vector.count);
    else this.#refuseRepeatedDispatches(vector, floor);
    classify(vector, addresses);
    this.#lookup(vector);
    this.#toEsp(vector);
    this.#options.crypto.open(vector);
    this.#commit(vector);
    this.#checkOpened(vector);
    this.#deliver(vector);
    vector.countDrops(this.#options.drops);
  }

  /** Counts what the TUN took: it marks the others. */
  #deliver(vector: PacketVector): void {
    this.deliveredPackets += this.#options.tun.send(vector);
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === KEEP) this.deliveredBytes += vector.length[i] as number;
    }
  }

  #refuseRepeatedDispatches(vector: PacketVector, floor: DispatchFloor): void {
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      if (!floor.accept(vector.dispatch[i] as number)) vector.verdict[i] = LINK_REPLAY;
    }
  }

  /** Shadow cache (claim 11), then the coarse window check, which changes nothing. */
  #lookup(vector: PacketVector): void {
    const { sad } = this.#options;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      const slot = sad.lookup(vector.spi[i] as number, vector.outerDestination, i * ADDRESS_WORDS);
      const entry = sad.at(slot);
      if (entry === undefined) {
        vector.verdict[i] = UNKNOWN_SPI;
        continue;
      }
      this.touched.add(entry);
      const low = vector.sequenceLow[i] as number;
      const high = entry.sa.hasEsn ? entry.window.inferHigh(low) : 0;
      vector.saSlot[i] = slot;
      vector.sequenceHigh[i] = high;
      if (!entry.window.check(high, low)) vector.verdict[i] = REPLAY;
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
      if (vector.verdict[i] !== KEEP && !isDummy) continue;
      const entry = sad.at(vector.saSlot[i] as number) as ShadowInboundSa;
      const high = vector.sequenceHigh[i] as number;
      const low = vector.sequenceLow[i] as number;
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

  #checkOpened(vector: PacketVector): void {
    const { sad, admits, fragments, onAuthenticated } = this.#options;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      const entry = sad.at(vector.saSlot[i] as number) as ShadowInboundSa;
      const verdict = checkOne(vector, i, entry, fragments);
      vector.verdict[i] = verdict;
      if (verdict !== KEEP) continue;
      if (!admits(vector, i, entry.sa.group)) vector.verdict[i] = LOOK_ALIKE;
      else {
        clampSyn(vector, i, entry.fit);
        onAuthenticated(vector, i, entry);
      }
    }
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

/**
 * Trailer, tunnel check (claim 8) and filter (claim 6) of one opened packet. A later fragment shows no ports: it passes if the first
 * one of its datagram has, of the same SA group (RFC 4301 section 7.3), else where ports do not matter.
 */
function checkOne(
  vector: PacketVector,
  i: number,
  entry: ShadowInboundSa,
  fragments: FragmentMemory,
): number {
  const bad = readOpened(vector, i, entry);
  if (bad !== KEEP) return bad;
  const isDvipa = equalAddresses(vector.innerDestination, i * ADDRESS_WORDS, entry.dvipa.address, 0);
  if (!isDvipa) return INNER_NOT_DVIPA;
  const fragment = vector.fragment[i];
  const { group } = entry.sa;
  if (fragment === FRAGMENT.LATER && fragments.lookup(vector, i, group) >= 0) return KEEP;
  if (!entry.check.permits(vector, i)) return TUNNEL_CHECK;
  const { filterMode, filter } = entry.dvipa;
  const refused = filterMode === 'bypass' ? filter.verdict(vector, i) : KEEP;
  if (refused === KEEP && fragment === FRAGMENT.FIRST) fragments.learn(vector, i, group, 0);
  return refused;
}

/** The inner packet as it goes to the TUN, and its headers in the columns. */
function readOpened(vector: PacketVector, i: number, { sa }: ShadowInboundSa): number {
  if (sa.mode === 'transport') {
    const bad = restoreTransportHeader(vector, i, sa.hasUdpEncapsulation);
    return bad === KEEP ? readInnerHeaders(vector, i) : bad;
  }
  const nextHeader = vector.nextHeader[i] as number;
  const bad = readInnerHeaders(vector, i);
  if (bad !== KEEP) return bad;
  return nextHeader === tunnelNextHeader(vector.family[i] as number) ? KEEP : MALFORMED;
}
