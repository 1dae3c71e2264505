import type { SaId, SecurityAssociation } from './sa.ts';
import { compareAddressBytes, isOpaque, type TrafficSelector } from './traffic-selector.ts';

/** What changes for a group as a whole: it shares inner addresses with another one, or does not any more. */
export interface OverlapListener {
  began(groups: ReadonlySet<number>): void;
  ended(group: number): void;
}

const NONE: ReadonlyMap<number, number> = new Map();
const NOBODY: readonly SecurityAssociation[] = [];

/**
 * Which SA groups *look alike*: a packet may be of either, as far as its inner addresses, protocol and ports say, and they
 * belong to peers in different places. Only for these is more needed than a policy to know where an answer goes. Made of the
 * selectors of the SAs in both directions, so that a group counts from its first SA to its last.
 */
export class GroupOverlaps {
  readonly #members = new Map<SaId, SecurityAssociation>();
  /** Members whose peer has single addresses, by each of them: mostly it is one. */
  readonly #byAddress = new Map<string, readonly SecurityAssociation[]>();
  readonly #wide = new Set<SecurityAssociation>();
  /** For each group that looks like others: those, with how many pairs of SAs say so. */
  readonly #others = new Map<number, Map<number, number>>();
  listener: OverlapListener | undefined;

  /** An SA that is there already is left as it is: see `update`. */
  add(sa: SecurityAssociation): void {
    if (this.#members.has(sa.id)) return;
    const before = new Map<number, boolean>();
    this.#insert(sa, before);
    this.#tell(before);
  }

  /** The SA's peer is elsewhere now. */
  update(sa: SecurityAssociation): void {
    if (!this.#members.has(sa.id)) return;
    const before = new Map<number, boolean>();
    this.#take(sa.id, before);
    this.#insert(sa, before);
    this.#tell(before);
  }

  remove(id: SaId): void {
    const before = new Map<number, boolean>();
    this.#take(id, before);
    this.#tell(before);
  }

  /** An SA of the same group, whose peer has the same first address. */
  relativeOf(sa: SecurityAssociation): SecurityAssociation | undefined {
    const [address = ''] = singleAddresses(sa) ?? [];
    return this.#byAddress.get(address)?.find(({ group }) => group === sa.group);
  }

  /** Does it look like another group? */
  has(group: number): boolean {
    return this.#others.size > 0 && this.#others.has(group);
  }

  /** The groups that it looks like. */
  of(group: number): Iterable<number> {
    return (this.#others.get(group) ?? NONE).keys();
  }

  #insert(member: SecurityAssociation, before: Map<number, boolean>): void {
    for (const other of this.#candidates(member)) this.#count(member, other, 1, before);
    this.#members.set(member.id, member);
    const addresses = singleAddresses(member);
    if (addresses === undefined) this.#wide.add(member);
    for (const address of addresses ?? []) {
      const there = this.#byAddress.get(address) ?? NOBODY;
      if (!there.includes(member)) this.#byAddress.set(address, [...there, member]);
    }
  }

  #take(id: SaId, before: Map<number, boolean>): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    this.#members.delete(id);
    this.#wide.delete(member);
    for (const address of singleAddresses(member) ?? []) {
      const others = (this.#byAddress.get(address) ?? NOBODY).filter((other) => other !== member);
      if (others.length > 0) this.#byAddress.set(address, others);
      else this.#byAddress.delete(address);
    }
    for (const other of this.#candidates(member)) this.#count(member, other, -1, before);
  }

  #candidates(member: SecurityAssociation): Iterable<SecurityAssociation> {
    const addresses = singleAddresses(member);
    if (addresses === undefined) return this.#members.values();
    const found = new Set(this.#wide);
    for (const address of addresses) for (const other of this.#byAddress.get(address) ?? []) found.add(other);
    return found;
  }

  #count(a: SecurityAssociation, b: SecurityAssociation, by: 1 | -1, before: Map<number, boolean>): void {
    if (!looksLike(a, b)) return;
    for (const [one, other] of [
      [a.group, b.group],
      [b.group, a.group],
    ] as const) {
      if (!before.has(one)) before.set(one, this.has(one));
      const pairs = this.#others.get(one) ?? new Map<number, number>();
      const count = (pairs.get(other) ?? 0) + by;
      if (count > 0) pairs.set(other, count);
      else pairs.delete(other);
      if (pairs.size > 0) this.#others.set(one, pairs);
      else this.#others.delete(one);
    }
  }

  #tell(before: ReadonlyMap<number, boolean>): void {
    const began = new Set<number>();
    for (const [group, wasAlike] of before) {
      if (wasAlike === this.has(group)) continue;
      if (wasAlike) this.listener?.ended(group);
      else began.add(group);
    }
    if (began.size > 0) this.listener?.began(began);
  }
}

/** Where the peer is: two SAs from one place are of one host, and never look alike. */
function isSamePlace(a: SecurityAssociation, b: SecurityAssociation): boolean {
  if (peerAddressOf(a) !== peerAddressOf(b) || a.hasUdpEncapsulation !== b.hasUdpEncapsulation) return false;
  return !a.hasUdpEncapsulation || peerPortOf(a) === peerPortOf(b);
}

const peerAddressOf = ({ direction, outer }: SecurityAssociation) =>
  direction === 'in' ? outer.source : outer.destination;
const peerPortOf = ({ direction, outer }: SecurityAssociation) =>
  direction === 'in' ? outer.sourcePort : outer.destinationPort;
/** The peer's selectors. */
export const theirsOf = (sa: SecurityAssociation) =>
  sa.direction === 'in' ? sa.sourceSelectors : sa.destinationSelectors;
const oursOf = (sa: SecurityAssociation) =>
  sa.direction === 'in' ? sa.destinationSelectors : sa.sourceSelectors;

/** The peer's addresses if they are single ones, as text. */
function singleAddresses(sa: SecurityAssociation): string[] | undefined {
  const theirs = theirsOf(sa);
  const single = theirs.filter(({ from, to }) => compareAddressBytes(from, to) === 0);
  return single.length === theirs.length ? single.map(({ from }) => from.join('.')) : undefined;
}

function looksLike(a: SecurityAssociation, b: SecurityAssociation): boolean {
  return (
    a.group !== b.group &&
    !isSamePlace(a, b) &&
    a.dvipa === b.dvipa &&
    haveCommon(theirsOf(a), theirsOf(b)) &&
    haveCommon(oursOf(a), oursOf(b))
  );
}

function haveCommon(a: readonly TrafficSelector[], b: readonly TrafficSelector[]): boolean {
  return a.some((one) => b.some((other) => overlap(one, other)));
}

function overlap(a: TrafficSelector, b: TrafficSelector): boolean {
  return (
    a.family === b.family &&
    compareAddressBytes(a.from, b.to) <= 0 &&
    compareAddressBytes(b.from, a.to) <= 0 &&
    (a.protocol === 0 || b.protocol === 0 || a.protocol === b.protocol) &&
    // OPAQUE is for what shows no ports, whichever they are.
    (isOpaque(a) || isOpaque(b) || (a.fromPort <= b.toPort && b.fromPort <= a.toPort))
  );
}
