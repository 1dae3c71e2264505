import { ConnectionBindings } from '../connections/connection-bindings.ts';
import { type ConnectionKey, newConnectionKey } from '../connections/connection-key.ts';
import { SYN } from '../connections/tcp-state.ts';
import type { GroupOverlaps, OverlapListener } from '../ipsec/group-overlaps.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import type { OutboundPolicy } from '../ipsec/sa.ts';
import { ADDRESS_WORDS, copyAddress } from '../packet/address.ts';
import { IP_PROTOCOL, isIcmp } from '../packet/protocols.ts';
import type { OutboundSad } from './outbound-sad.ts';
import type { PacketVector } from './vector.ts';

/** As long as a kernel waits for the fragments of a datagram (`ipfrag_time`): so long those of two peers could be mixed. */
const FRAGMENTS_MS = 30_000;

export interface LookAlikesOptions {
  readonly overlaps: GroupOverlaps;
  readonly sad: Pick<OutboundSad<never>, 'policyOfGroup'>;
  /** Connections that are open: those from before their peer had a look-alike are bound as well. */
  readonly openFlows: () => Iterable<ConnectionKey>;
  /** 8 random bytes. */
  readonly seed: Uint8Array;
  readonly now: () => number;
}

/**
 * Peers that look alike, on a target (docs/inbound.md, section 9): the kernel behind the TUN tells connections apart by addresses
 * and ports alone, so each such tuple is one SA group's at a time. What comes for it from another group is refused, what the kernel
 * sends on it goes to that group. Packets of other groups pass after one look at a map that is empty then.
 */
export class LookAlikes implements OverlapListener {
  readonly #options: LookAlikesOptions;
  readonly #connections: ConnectionBindings;
  /** Datagrams in fragments: later ones show no ports. */
  readonly #fragments: ConnectionBindings;
  readonly #key = newConnectionKey();

  constructor(options: LookAlikesOptions) {
    this.#options = options;
    const { seed } = options;
    this.#connections = new ConnectionBindings({ seed });
    this.#fragments = new ConnectionBindings({
      seed,
      times: { datagramsMs: FRAGMENTS_MS, icmpMs: FRAGMENTS_MS },
    });
    options.overlaps.listener = this;
  }

  /** Connections that are bound to a group, those included that are over and not forgotten yet. */
  get size(): number {
    return this.#connections.size;
  }

  /** Inbound, authenticated, tunnel check passed. False: `look-alike`, nobody may have it. */
  admits(vector: PacketVector, i: number, group: number): boolean {
    return this.#admits(vector, i, group, true);
  }

  /** What `admits` would say; nothing is bound. */
  previewInbound(vector: PacketVector, i: number, group: number): boolean {
    return this.#admits(vector, i, group, false);
  }

  #admits(vector: PacketVector, i: number, group: number, binds: boolean): boolean {
    if (!this.#options.overlaps.has(group)) return true;
    const now = this.#options.now();
    const fragment = vector.fragment[i];
    if (fragment !== FRAGMENT.WHOLE) {
      const datagram = this.#datagram(vector, i);
      const isOurs = binds
        ? this.#fragments.admit(datagram, group, now)
        : this.#fragments.mayAdmit(datagram, group, now);
      if (!isOurs) return false;
    }
    if (fragment === FRAGMENT.LATER) return true;
    if (vector.quotedProtocol[i] !== 0) {
      // An error about a connection is believed of its own peer; it makes no binding.
      const owner = this.#connections.groupOf(this.#quotedByPeer(vector, i), now);
      return owner < 0 || owner === group;
    }
    const key = this.#fromPeer(vector, i);
    return binds
      ? this.#connections.admit(key, group, now, vector.tcpFlags[i])
      : this.#connections.mayAdmit(key, group, now);
  }

  /**
   * Outbound: the policy of the group that the connection is bound to, in place of `best`, the first that matches. Without a binding
   * it is `best`, the newest peer's, but for the middle of a connection. Undefined: `look-alike`, nobody knows whose it is.
   */
  choose(vector: PacketVector, i: number, best: OutboundPolicy): OutboundPolicy | undefined {
    return this.#choose(vector, i, best, true);
  }

  /** What `choose` would return; no binding is kept alive or made. */
  previewOutbound(vector: PacketVector, i: number, best: OutboundPolicy): OutboundPolicy | undefined {
    return this.#choose(vector, i, best, false);
  }

  #choose(vector: PacketVector, i: number, best: OutboundPolicy, binds: boolean): OutboundPolicy | undefined {
    if (!this.#options.overlaps.has(best.group)) return best;
    const group = this.#groupToAnswer(vector, i, best, binds);
    if (group < 0 || group === best.group) return group < 0 ? undefined : best;
    return this.#options.sad.policyOfGroup(vector, i, group);
  }

  /** Call it regularly. */
  tick(now: number): void {
    this.#connections.sweep(now);
    this.#fragments.sweep(now);
  }

  began(groups: ReadonlySet<number>): void {
    const now = this.#options.now();
    for (const flow of this.#options.openFlows()) {
      const { group } = flow;
      if (groups.has(group)) this.#connections.keep(flow, group, now);
    }
  }

  ended(group: number): void {
    this.#connections.removeGroup(group);
    this.#fragments.removeGroup(group);
  }

  #groupToAnswer(vector: PacketVector, i: number, best: OutboundPolicy, binds: boolean): number {
    const now = this.#options.now();
    const fragment = vector.fragment[i];
    if (fragment === FRAGMENT.LATER) {
      const datagram = this.#datagram(vector, i);
      return binds ? this.#fragments.answer(datagram, now) : this.#fragments.groupOf(datagram, now);
    }
    const isError = vector.quotedProtocol[i] !== 0;
    const key = isError ? this.#quotedByUs(vector, i) : this.#toPeer(vector, i);
    const bound =
      isError || !binds
        ? this.#connections.groupOf(key, now)
        : this.#connections.answer(key, now, vector.tcpFlags[i]);
    if (bound < 0 && (isError || isAmid(vector, i))) return -1;
    const group = bound < 0 ? best.group : bound;
    if (binds && fragment === FRAGMENT.FIRST) this.#fragments.assign(this.#datagram(vector, i), group, now);
    return group;
  }

  /** Both directions may have the same identification: the addresses stand as in the packet, so they differ. */
  #datagram(vector: PacketVector, i: number): ConnectionKey {
    const key = this.#key;
    const words = i * ADDRESS_WORDS;
    copyAddress(vector.innerSource, words, key.source, 0);
    copyAddress(vector.innerDestination, words, key.dvipa, 0);
    const id = vector.fragmentId[i] as number;
    return withPorts(key, vector.protocol[i] as number, id >>> 16, id & 0xffff);
  }

  #fromPeer(vector: PacketVector, i: number): ConnectionKey {
    const key = this.#key;
    const words = i * ADDRESS_WORDS;
    copyAddress(vector.innerSource, words, key.source, 0);
    copyAddress(vector.innerDestination, words, key.dvipa, 0);
    return withTuple(key, vector.protocol[i] as number, vector.sourcePort[i], vector.destinationPort[i]);
  }

  #toPeer(vector: PacketVector, i: number): ConnectionKey {
    const key = this.#key;
    const words = i * ADDRESS_WORDS;
    copyAddress(vector.innerDestination, words, key.source, 0);
    copyAddress(vector.innerSource, words, key.dvipa, 0);
    return withTuple(key, vector.protocol[i] as number, vector.destinationPort[i], vector.sourcePort[i]);
  }

  /** A message from the peer's side quotes what we sent to the peer. */
  #quotedByPeer(vector: PacketVector, i: number): ConnectionKey {
    const key = this.#key;
    const words = i * ADDRESS_WORDS;
    copyAddress(vector.quotedDestination, words, key.source, 0);
    copyAddress(vector.innerDestination, words, key.dvipa, 0);
    const [ours, theirs] = [vector.quotedSourcePort[i], vector.quotedDestinationPort[i]];
    return withTuple(key, vector.quotedProtocol[i] as number, theirs, ours);
  }

  /** A message of our own kernel quotes what the peer sent. */
  #quotedByUs(vector: PacketVector, i: number): ConnectionKey {
    const key = this.#key;
    const words = i * ADDRESS_WORDS;
    copyAddress(vector.innerDestination, words, key.source, 0);
    copyAddress(vector.quotedDestination, words, key.dvipa, 0);
    const [theirs, ours] = [vector.quotedSourcePort[i], vector.quotedDestinationPort[i]];
    return withTuple(key, vector.quotedProtocol[i] as number, theirs, ours);
  }
}

/** A segment that cannot be the first one of a connection: somebody has this connection, though nobody knows who. */
function isAmid(vector: PacketVector, i: number): boolean {
  return vector.protocol[i] === IP_PROTOCOL.TCP && ((vector.tcpFlags[i] as number) & SYN) === 0;
}

/** ICMP has no ports: all of a peer's address is one binding. */
function withTuple(key: ConnectionKey, protocol: number, theirs = 0, ours = 0): ConnectionKey {
  return isIcmp(protocol) ? withPorts(key, protocol, 0, 0) : withPorts(key, protocol, theirs, ours);
}

function withPorts(key: ConnectionKey, protocol: number, theirs: number, ours: number): ConnectionKey {
  key.protocol = protocol;
  key.sourcePort = theirs;
  key.destinationPort = ours;
  return key;
}
