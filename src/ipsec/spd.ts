import { smallWordsOf } from '../base/small-arrays.ts';
import {
  ADDRESS_WORDS,
  addressOfBytes,
  copyAddress,
  equalAddresses,
  type IpAddress,
  isIpv4,
  isWithin,
} from '../packet/address.ts';
import { AddressMap } from '../packet/address-map.ts';
import { hasPorts, isIcmp } from '../packet/protocols.ts';
import { FRAGMENT, type InnerColumns } from './inner-columns.ts';
import type { OutboundPolicy } from './sa.ts';
import { coversAllPorts, isOpaque, type TrafficSelector } from './traffic-selector.ts';

/** A selector with numbers, as the fast path compares it. */
interface Range {
  readonly family: number;
  readonly from: IpAddress;
  readonly to: IpAddress;
  readonly protocol: number;
  readonly fromPort: number;
  readonly toPort: number;
  /** Matches a packet that shows no ports. */
  readonly takesUnseenPorts: boolean;
}

interface CompiledPolicy {
  readonly policy: OutboundPolicy;
  readonly source: Range;
  readonly destination: Range;
  /** Its place in charon's order. */
  rank: number;
}

const NONE: readonly CompiledPolicy[] = [];

function compile(selector: TrafficSelector): Range {
  const { family, protocol, fromPort, toPort } = selector;
  const from = smallWordsOf(addressOfBytes(selector.from));
  const to = addressOfBytes(selector.to);
  return {
    family,
    from,
    to: equalAddresses(from, 0, to, 0) ? from : smallWordsOf(to),
    protocol,
    fromPort,
    toPort,
    takesUnseenPorts: coversAllPorts(selector) || isOpaque(selector),
  };
}

/** `port` -1: the packet shows none. */
function matches(
  range: Range,
  addresses: Uint32Array,
  at: number,
  family: number,
  protocol: number,
  port: number,
): boolean {
  return (
    range.family === family &&
    (range.protocol === 0 || range.protocol === protocol) &&
    (port < 0 ? range.takesUnseenPorts : port >= range.fromPort && port <= range.toPort) &&
    isWithin(addresses, at, range.from, 0, range.to, 0)
  );
}

function firstMatch(
  policies: readonly CompiledPolicy[],
  inner: InnerColumns,
  i: number,
): CompiledPolicy | undefined {
  const at = i * ADDRESS_WORDS;
  const family = inner.family[i] as number;
  const protocol = inner.protocol[i] as number;
  const isSeen = inner.fragment[i] !== FRAGMENT.LATER;
  const destination = isSeen ? (inner.destinationPort[i] as number) : -1;
  // ICMP type and code stand for the port on both sides (RFC 4301 section 4.4.1.1).
  const source = isSeen && !isIcmp(protocol) ? (inner.sourcePort[i] as number) : destination;
  for (const entry of policies) {
    if (!matches(entry.source, inner.innerSource, at, family, protocol, source)) continue;
    if (matches(entry.destination, inner.innerDestination, at, family, protocol, destination)) return entry;
  }
  return undefined;
}

/** What two hosts have to say to each other, in both directions: a DVIPA and its peer. */
export interface Conversation {
  readonly dvipa: IpAddress;
  /** The peer's address. */
  readonly source: IpAddress;
  readonly protocol: number;
  /** The peer's port, and the DVIPA's. */
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** `port` -1: whichever. */
function touches(range: Range, address: IpAddress, protocol: number, port: number): boolean {
  return (
    range.family === (isIpv4(address) ? 4 : 6) &&
    (range.protocol === 0 || range.protocol === protocol) &&
    (port < 0 || (port >= range.fromPort && port <= range.toPort)) &&
    isWithin(address, 0, range.from, 0, range.to, 0)
  );
}

const CACHE_SLOTS = 4096;

/**
 * charon's order: the smallest priority number first. Peers that look alike have equal policies; of these the newest peer's comes
 * first, which is the one with the highest group number, whatever was installed or told last.
 */
function inOrder(a: CompiledPolicy, b: CompiledPolicy): number {
  return a.policy.priority - b.policy.priority || b.policy.group - a.policy.group;
}

/**
 * The outbound SPD (RFC 4301 section 4.4.1) of the DVIPAs: which SA an inner packet is sealed with. The first policy in charon's
 * order that matches wins. A direct-mapped cache by flow in front, emptied by every change; behind it policies for single destinations by
 * these, and all others as an ordered list.
 */
export class Spd {
  readonly #byKey = new Map<string, CompiledPolicy>();
  /** Grows with every change. */
  version = 0;
  /** Policies may have the selector of our side in common. */
  readonly #sources = new WeakMap<TrafficSelector, Range>();
  /** In order of priority; undefined after a change, so that a snapshot of many is sorted once. */
  #ordered: CompiledPolicy[] | undefined = [];
  /** The same for single destinations, as most peers have, and for all others; made with `#ordered`. */
  #byDestination = new AddressMap<CompiledPolicy[]>();
  #wide: CompiledPolicy[] = [];
  /** The same by SA group; made when it is asked for. */
  #byGroup: Map<number, CompiledPolicy[]> | undefined;
  readonly #cached: (CompiledPolicy | undefined)[] = Array.from({ length: CACHE_SLOTS }, () => undefined);
  readonly #cacheSource = new Uint32Array(CACHE_SLOTS * ADDRESS_WORDS);
  readonly #cacheDestination = new Uint32Array(CACHE_SLOTS * ADDRESS_WORDS);
  readonly #cachePorts = new Uint32Array(CACHE_SLOTS);
  /** Protocol, and whether ports are seen. */
  readonly #cacheKind = new Uint16Array(CACHE_SLOTS);

  /** Adds a policy, or replaces the one of the same key: that is the outbound switch to a new SA. */
  install(policy: OutboundPolicy): void {
    const { source, destination } = policy;
    const compiled = { policy, source: this.#sourceOf(source), destination: compile(destination), rank: 0 };
    this.#byKey.set(policy.key, compiled);
    this.#changed();
  }

  remove(key: string): OutboundPolicy | undefined {
    const removed = this.#byKey.get(key)?.policy;
    if (this.#byKey.delete(key)) this.#changed();
    return removed;
  }

  /** The policy for inner packet `i`, whose headers were read, or undefined: drop it as `no-policy`. */
  lookup(inner: InnerColumns, i: number): OutboundPolicy | undefined {
    const at = i * ADDRESS_WORDS;
    const protocol = inner.protocol[i] as number;
    const isLater = inner.fragment[i] === FRAGMENT.LATER;
    const kind = protocol | (isLater ? 0x100 : 0);
    const ports = (((inner.sourcePort[i] as number) << 16) | (inner.destinationPort[i] as number)) >>> 0;
    const mixed =
      (inner.innerDestination[at + 3] as number) ^ (inner.innerDestination[at + 1] as number) ^ ports;
    const slot = (Math.imul(mixed, 0x9e3779b1) >>> 20) & (CACHE_SLOTS - 1);
    const words = slot * ADDRESS_WORDS;
    const cached = this.#cached[slot];
    if (
      cached !== undefined &&
      this.#cachePorts[slot] === ports &&
      this.#cacheKind[slot] === kind &&
      equalAddresses(this.#cacheDestination, words, inner.innerDestination, at) &&
      equalAddresses(this.#cacheSource, words, inner.innerSource, at)
    ) {
      return cached.policy;
    }
    const found = this.#first(inner, i);
    if (found === undefined) return undefined;
    this.#cached[slot] = found;
    this.#cachePorts[slot] = ports;
    this.#cacheKind[slot] = kind;
    copyAddress(inner.innerDestination, at, this.#cacheDestination, words);
    copyAddress(inner.innerSource, at, this.#cacheSource, words);
    return found.policy;
  }

  /** The first policy of this SA group that matches packet `i`, whichever others match. Slower than `lookup`. */
  lookupGroup(inner: InnerColumns, i: number, group: number): OutboundPolicy | undefined {
    return firstMatch(this.#inGroups().get(group) ?? [], inner, i)?.policy;
  }

  /**
   * Whether any policy is about packets of this conversation, so that none of them may be in clear (RFC 4301 section 5.2). Of protocols
   * without ports, ICMP with its types among them, every message counts. Looks at all policies: see `SpdCoverage`.
   */
  covers({ dvipa, source: peer, protocol, sourcePort, destinationPort }: Conversation): boolean {
    const [theirs, ours] = hasPorts(protocol) ? [sourcePort, destinationPort] : [-1, -1];
    return this.#inOrder().some(
      ({ source, destination }) =>
        touches(source, dvipa, protocol, ours) && touches(destination, peer, protocol, theirs),
    );
  }

  get(key: string): OutboundPolicy | undefined {
    return this.#byKey.get(key)?.policy;
  }

  policies(): OutboundPolicy[] {
    return this.#inOrder().map((entry) => entry.policy);
  }

  #sourceOf(selector: TrafficSelector): Range {
    const known = this.#sources.get(selector);
    if (known !== undefined) return known;
    const compiled = compile(selector);
    this.#sources.set(selector, compiled);
    return compiled;
  }

  #changed(): void {
    this.version++;
    if (this.#ordered === undefined) return; // the cache is empty since the change before
    this.#ordered = undefined;
    this.#byGroup = undefined;
    this.#cached.fill(undefined);
  }

  /** The first policy that matches packet `i`. */
  #first(inner: InnerColumns, i: number): CompiledPolicy | undefined {
    this.#inOrder();
    const single = this.#byDestination.get(inner.innerDestination, i * ADDRESS_WORDS);
    const narrow = firstMatch(single ?? NONE, inner, i);
    const wide = firstMatch(this.#wide, inner, i);
    if (narrow === undefined || wide === undefined) return narrow ?? wide;
    return narrow.rank < wide.rank ? narrow : wide;
  }

  #inOrder(): readonly CompiledPolicy[] {
    this.#ordered ??= this.#arrange();
    return this.#ordered;
  }

  #arrange(): CompiledPolicy[] {
    const ordered = [...this.#byKey.values()].toSorted(inOrder);
    this.#byDestination = new AddressMap();
    this.#wide = [];
    for (const [rank, entry] of ordered.entries()) {
      entry.rank = rank;
      const { from, to } = entry.destination;
      const isSingle = equalAddresses(from, 0, to, 0);
      const there = isSingle ? this.#byDestination.get(from) : this.#wide;
      if (there === undefined) this.#byDestination.set(from, [entry]);
      else there.push(entry);
    }
    return ordered;
  }

  #inGroups(): ReadonlyMap<number, readonly CompiledPolicy[]> {
    if (this.#byGroup !== undefined) return this.#byGroup;
    const byGroup = new Map<number, CompiledPolicy[]>();
    for (const entry of this.#inOrder()) {
      const members = byGroup.get(entry.policy.group);
      if (members === undefined) byGroup.set(entry.policy.group, [entry]);
      else members.push(entry);
    }
    this.#byGroup = byGroup;
    return byGroup;
  }
}
