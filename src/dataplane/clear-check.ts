import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { CLEAR_GROUP, type ConnectionKey, newConnectionKey } from '../connections/connection-key.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import {
  ADDRESS_WORDS,
  copyAddress,
  equalAddresses,
  type IpAddress,
  isUnicastAddress,
} from '../packet/address.ts';
import type { AddressMap } from '../packet/address-map.ts';
import { NAT_TRAVERSAL_PORT } from '../packet/esp-header.ts';
import { IP_PROTOCOL, isIcmp, isIcmpError } from '../packet/protocols.ts';
import { readFlowKey } from './flow-key.ts';
import type { InboundFilter } from './inbound-filter.ts';
import { readInnerHeaders } from './inner-headers.ts';
import type { PacketVector } from './vector.ts';

const CLEAR = verdictOf('clear');
const FRAGMENTED = verdictOf('fragment');
const INNER_NOT_DVIPA = verdictOf('inner-not-dvipa');
const MALFORMED = verdictOf('malformed');

const IKE_PORT = 500;
/** RFC 792; that of IPv6 is neighbour discovery, which is never captured. */
const ICMP_REDIRECT = 5;
/** Types of ICMP and ICMPv6, as they stand with code 0 in place of a port. */
const ECHO_REPLY = 0;
const ECHO_REPLY6 = 129 << 8;

/** Settings of a DVIPA, as far as clear text goes. */
export interface ClearDvipa {
  readonly address: IpAddress;
  /** Clear text that a rule permits is distributed; else none is taken. */
  readonly distributesClear: boolean;
  readonly filter: InboundFilter;
  /** `router`: what leaves with the DVIPA's address leaves from the routing host, never from a target. */
  readonly returnVia: 'direct' | 'router';
}

/** Whether a policy is about packets of this connection. */
export type Covers = (connection: ConnectionKey) => boolean;

/**
 * What a packet to a DVIPA in clear must pass, on the routing host and again on its target (docs/inbound.md, section 5): it is whole, no IPsec and no
 * IKE, a rule permits it, and no policy wants it protected (RFC 4301 section 5.2). An error in ICMP is judged as the connection that it quotes;
 * one that quotes nothing of ours is refused.
 */
export class ClearCheck {
  readonly #dvipas: AddressMap<ClearDvipa>;
  readonly #covers: Covers;
  /** Of the last packet: its connection, or the quoted one; ICMP has no ports. */
  readonly connection = newConnectionKey();

  constructor(dvipas: AddressMap<ClearDvipa>, covers: Covers) {
    this.#dvipas = dvipas;
    this.#covers = covers;
  }

  /** KEEP, or why packet `i` is refused: `clear`, or what is wrong with its headers. Fills in the inner columns. Counts by rule. */
  inbound(vector: PacketVector, i: number): Verdict {
    return this.#inbound(vector, i, true);
  }

  /** The same, and counts nothing. */
  preview(vector: PacketVector, i: number): Verdict {
    return this.#inbound(vector, i, false);
  }

  #inbound(vector: PacketVector, i: number, counts: boolean): Verdict {
    const bad = readInnerHeaders(vector, i);
    if (bad !== KEEP) return bad;
    const words = i * ADDRESS_WORDS;
    const dvipa = this.#dvipas.get(vector.innerDestination, words);
    if (dvipa === undefined) return INNER_NOT_DVIPA;
    if (!dvipa.distributesClear) return CLEAR;
    const { filter } = dvipa;
    if (!isUnicastAddress(vector.innerSource, words)) return MALFORMED;
    if (vector.fragment[i] !== FRAGMENT.WHOLE) return FRAGMENTED;
    if (isNeverClear(vector, i)) return CLEAR;
    const key = readConnection(this.connection, vector, i, true);
    if (isError(vector, i)) {
      if (vector.quotedProtocol[i] === 0 || !this.#permits(filter, key)) return CLEAR;
    } else {
      const isPermitted = counts
        ? filter.clearVerdict(vector, i) === KEEP
        : filter.preview(vector, i, true).isPermitted;
      if (!isPermitted) return CLEAR;
    }
    return this.#covers(key) ? CLEAR : KEEP;
  }

  /** Whether packet `i` of our own kernel belongs to a connection that may be in clear. Its headers were read. */
  outbound(vector: PacketVector, i: number): boolean {
    const dvipa = this.#dvipas.get(vector.innerSource, i * ADDRESS_WORDS);
    if (dvipa?.distributesClear !== true) return false;
    if (isError(vector, i) && vector.quotedProtocol[i] === 0) return false;
    const key = readConnection(this.connection, vector, i, false);
    if (!equalAddresses(key.dvipa, 0, vector.innerSource, i * ADDRESS_WORDS)) return false;
    return this.#permits(dvipa.filter, key) && !this.#covers(key);
  }

  #permits(filter: InboundFilter, key: ConnectionKey): boolean {
    return filter.permits(key.protocol, key.source, 0, key.sourcePort, key.destinationPort, true);
  }
}

/**
 * The connection of packet `i`, or the one that it quotes as an error in ICMP, as seen from the peer; `isInbound`: the packet is for the
 * DVIPA. In group 0.
 */
export function readConnection(
  key: ConnectionKey,
  vector: PacketVector,
  i: number,
  isInbound: boolean,
): ConnectionKey {
  if (vector.quotedProtocol[i] !== 0) return readQuoted(key, vector, i, isInbound);
  readFlowKey(key, vector, i, isInbound, CLEAR_GROUP);
  if (isIcmp(key.protocol)) {
    key.sourcePort = 0;
    key.destinationPort = 0;
  }
  return key;
}

/** What is quoted went the other way: inbound it is what we sent to the peer, outbound what the peer sent to us. */
function readQuoted(key: ConnectionKey, vector: PacketVector, i: number, isInbound: boolean): ConnectionKey {
  const words = i * ADDRESS_WORDS;
  key.group = CLEAR_GROUP;
  key.protocol = vector.quotedProtocol[i] as number;
  copyAddress(isInbound ? vector.innerDestination : vector.quotedDestination, words, key.dvipa, 0);
  copyAddress(isInbound ? vector.quotedDestination : vector.innerDestination, words, key.source, 0);
  const hasNone = isIcmp(key.protocol);
  const theirs = isInbound ? vector.quotedDestinationPort : vector.quotedSourcePort;
  const ours = isInbound ? vector.quotedSourcePort : vector.quotedDestinationPort;
  key.sourcePort = hasNone ? 0 : (theirs[i] as number);
  key.destinationPort = hasNone ? 0 : (ours[i] as number);
  return key;
}

/** Where ICMP has its type is the upper half of what stands for the port. */
export function isError(vector: PacketVector, i: number): boolean {
  return isIcmpError(vector.protocol[i] as number, (vector.destinationPort[i] as number) >> 8);
}

/** IPsec is no clear text, IKE is charon's, and nobody out there says which way our packets go. */
function isNeverClear(vector: PacketVector, i: number): boolean {
  const protocol = vector.protocol[i] as number;
  if (protocol === IP_PROTOCOL.ESP || protocol === IP_PROTOCOL.AH) return true;
  const port = vector.destinationPort[i] as number;
  if (protocol === IP_PROTOCOL.ICMP && port >> 8 === ICMP_REDIRECT) return true;
  return protocol === IP_PROTOCOL.UDP && (port === IKE_PORT || port === NAT_TRAVERSAL_PORT);
}

/** Whether packet `i` of ours can be an answer: of ICMP that are errors, and replies to an echo. */
export function mayAnswer(vector: PacketVector, i: number): boolean {
  const protocol = vector.protocol[i] as number;
  if (!isIcmp(protocol) || isError(vector, i)) return true;
  return vector.destinationPort[i] === (protocol === IP_PROTOCOL.ICMPV6 ? ECHO_REPLY6 : ECHO_REPLY);
}
