import { type ConnectionKey, newConnectionKey } from '../connections/connection-key.ts';
import type { Distributor } from '../connections/distributor.ts';
import type { FragmentKey } from '../connections/fragment-tracker.ts';
import { isOpening } from '../connections/tcp-state.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { ADDRESS_WORDS, copyAddress, type IpAddress, newAddress } from '../packet/address.ts';
import { IP_PROTOCOL, isEchoReply, isIcmp } from '../packet/protocols.ts';
import { echoKey } from './echo-key.ts';
import type { PacketVector } from './vector.ts';

/** No target yet: the first fragment of its datagram, which shows the ports, has not come. */
export const AWAITS_FIRST_FRAGMENT = -2;
const UNKNOWN_DATAGRAM = -3;

/** The SA of a packet, as far as a choice depends on it. */
export interface ChoosingSa {
  readonly sa: { readonly group: number };
  readonly dvipa: { readonly address: IpAddress };
  /** Targets that may be given its packets; none: all that serve the DVIPA. */
  readonly serving: Pick<ReadonlySet<number>, 'has' | 'size'>;
}

/**
 * Claim 10: which target a peeked packet goes to. TCP: the connection's, or by the distribution method for a SYN. UDP: the
 * pseudo-connection's once its target has answered, else by hash, so that it is the same one each time, or by the method of a service
 * of its own. An ICMP error: to the
 * target of the connection that it quotes. An echo reply: to the target that asked. Other messages: by hash of the peer's address, so that one target
 * answers. Other protocols: by hash of the addresses. A fragment that shows no ports: where the first one of its datagram went.
 */
export class TargetChoice {
  readonly #distributor: Distributor;
  readonly #key = newConnectionKey();
  readonly #echo = newConnectionKey();
  readonly #fragment: FragmentKey = {
    group: 0,
    source: newAddress(),
    sourceAt: 0,
    destination: newAddress(),
    destinationAt: 0,
    protocol: 0,
    identification: 0,
  };

  constructor(distributor: Distributor) {
    this.#distributor = distributor;
  }

  /**
   * A target's index, -1 (`no-target`), or `AWAITS_FIRST_FRAGMENT`. `mayRemember`: false while packets of the SA are forged in
   * masses: no tentative entry is made.
   */
  choose(vector: PacketVector, i: number, entry: ChoosingSa, now: number, mayRemember = true): number {
    const fragment = vector.fragment[i];
    if (fragment === FRAGMENT.WHOLE) return this.#byConnection(vector, i, entry, now, mayRemember, true);
    const known = this.#byFragment(vector, i, entry, now);
    if (known !== UNKNOWN_DATAGRAM) return known;
    const target = this.#byConnection(vector, i, entry, now, mayRemember, true);
    if (target >= 0) this.#distributor.fragments.learn(this.#fragmentKey(vector, i, entry), target, now);
    return target;
  }

  /** What `choose` would return; nothing is noted. */
  preview(vector: PacketVector, i: number, entry: ChoosingSa, now: number, mayRemember = true): number {
    const known =
      vector.fragment[i] === FRAGMENT.WHOLE ? UNKNOWN_DATAGRAM : this.#byFragment(vector, i, entry, now);
    return known === UNKNOWN_DATAGRAM ? this.#byConnection(vector, i, entry, now, mayRemember, false) : known;
  }

  /** Where the datagram of fragment `i` goes; `UNKNOWN_DATAGRAM`: this is its first one. */
  #byFragment(vector: PacketVector, i: number, entry: ChoosingSa, now: number): number {
    const known = this.#distributor.fragments.lookup(this.#fragmentKey(vector, i, entry), now);
    if (known >= 0) return known;
    return vector.fragment[i] === FRAGMENT.LATER ? AWAITS_FIRST_FRAGMENT : UNKNOWN_DATAGRAM;
  }

  /** A number for the datagram of fragment `i`, to wait under: two datagrams may share one. */
  datagramOf(vector: PacketVector, i: number, entry: ChoosingSa): number {
    return this.#distributor.fragments.hashOf(this.#fragmentKey(vector, i, entry));
  }

  #byConnection(
    vector: PacketVector,
    i: number,
    entry: ChoosingSa,
    now: number,
    mayRemember: boolean,
    notes: boolean,
  ): number {
    this.#readConnection(vector, i, entry);
    const key = this.#key;
    const asker = isReply(vector, i) ? this.#distributor.table.lookup(this.#readEcho(vector, i, entry)) : -1;
    if (asker >= 0) return asker;
    const isSyn = key.protocol === IP_PROTOCOL.TCP && isOpening(vector.tcpFlags[i] as number);
    const opens = isSyn || (key.protocol === IP_PROTOCOL.UDP && !isQuote(vector, i));
    // Nobody serves the SA yet: the routing host opens for any of them.
    const eligible = entry.serving.size === 0 ? undefined : entry.serving;
    return notes
      ? this.#distributor.route(key, opens, eligible, now, mayRemember)
      : this.#distributor.preview(key, opens, eligible, now, mayRemember);
  }

  /** Has a target reported the connection of packet `i` as authenticated? A fragment shows none. */
  isConfirmed(vector: PacketVector, i: number, entry: ChoosingSa): boolean {
    if (vector.fragment[i] !== FRAGMENT.WHOLE) return false;
    this.#readConnection(vector, i, entry);
    return this.#distributor.isConfirmed(this.#key);
  }

  #readConnection(vector: PacketVector, i: number, entry: ChoosingSa): void {
    const key = this.#key;
    copyAddress(entry.dvipa.address, 0, key.dvipa, 0);
    key.group = entry.sa.group;
    if (isQuote(vector, i)) readQuotedKey(key, vector, i);
    else readKey(key, vector, i);
  }

  #readEcho(vector: PacketVector, i: number, entry: ChoosingSa): ConnectionKey {
    const key = this.#echo;
    copyAddress(entry.dvipa.address, 0, key.dvipa, 0);
    copyAddress(vector.innerSource, i * ADDRESS_WORDS, key.source, 0);
    key.group = entry.sa.group;
    return echoKey(key, vector.protocol[i] as number, vector.sourcePort[i] as number);
  }

  #fragmentKey(vector: PacketVector, i: number, { sa }: ChoosingSa): FragmentKey {
    const key = this.#fragment;
    key.group = sa.group;
    key.source = vector.innerSource;
    key.destination = vector.innerDestination;
    key.sourceAt = i * ADDRESS_WORDS;
    key.destinationAt = i * ADDRESS_WORDS;
    key.protocol = vector.protocol[i] as number;
    key.identification = vector.fragmentId[i] as number;
    return key;
  }
}

function isReply(vector: PacketVector, i: number): boolean {
  const protocol = vector.protocol[i] as number;
  return isIcmp(protocol) && isEchoReply(protocol, (vector.destinationPort[i] as number) >>> 8);
}

/** An ICMP error, which is of the connection that it quotes. */
function isQuote(vector: PacketVector, i: number): boolean {
  return vector.quotedProtocol[i] !== 0;
}

function readKey(key: ConnectionKey, vector: PacketVector, i: number): void {
  const protocol = vector.protocol[i] as number;
  copyAddress(vector.innerSource, i * ADDRESS_WORDS, key.source, 0);
  key.protocol = protocol;
  // Type, code and identifier are no ports: whatever a peer's ICMP says, one target hears it.
  key.sourcePort = isIcmp(protocol) ? 0 : (vector.sourcePort[i] as number);
  key.destinationPort = isIcmp(protocol) ? 0 : (vector.destinationPort[i] as number);
}

/** The quoted packet went the other way: from the DVIPA to the peer. */
function readQuotedKey(key: ConnectionKey, vector: PacketVector, i: number): void {
  copyAddress(vector.quotedDestination, i * ADDRESS_WORDS, key.source, 0);
  key.protocol = vector.quotedProtocol[i] as number;
  key.sourcePort = vector.quotedDestinationPort[i] as number;
  key.destinationPort = isIcmp(key.protocol) ? 0 : (vector.quotedSourcePort[i] as number);
}
