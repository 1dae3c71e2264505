import { type DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import type { ClearConnections } from '../connections/clear-connections.ts';
import { CLEAR_GROUP, newConnectionKey } from '../connections/connection-key.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { AddressMap } from '../packet/address-map.ts';
import { IP_PROTOCOL, isIcmp } from '../packet/protocols.ts';
import {
  ClearCheck,
  type ClearDvipa,
  type Covers,
  isError,
  mayAnswer,
  readConnection,
} from './clear-check.ts';
import type { FragmentMemory } from './fragment-memory.ts';
import type { InnerDelivery } from './inner-delivery.ts';
import { LINK_HEADER_BYTES, LINK_TAG_BYTES } from '../ipsec/link-cipher.ts';
import type { PacketSink } from './ports.ts';
import { SEALED_LINK_BYTES } from './sealed-sender.ts';
import { clampSyn, type SegmentFit } from './syn-mss.ts';
import { addTooBigMessage } from './too-big-message.ts';
import { PacketVector, slotBytesFor } from './vector.ts';

const CLEAR = verdictOf('clear');
const NO_POLICY = verdictOf('no-policy');
const TOO_BIG = verdictOf('too-big');

const SEAL_BYTES = LINK_HEADER_BYTES + LINK_TAG_BYTES;

/** Packets that go out together; one vector of the TUN has no more. */
const OUT_PACKETS = 256;
const MESSAGES = 16;
/** Types of ICMP and ICMPv6, as they stand with code 0 in place of a port. */
const ECHO_REQUEST = 8 << 8;
const ECHO_REQUEST6 = 128 << 8;

/** A TCP header and an IP header without options. */
const SEGMENT_HEADER_BYTES = { ipv4: 40, ipv6: 60 };
export interface ClearTextOptions {
  /** The DVIPAs that this target serves. */
  readonly dvipas: AddressMap<ClearDvipa>;
  /** Whether a policy wants packets of the connection protected. */
  readonly covers: Covers;
  readonly connections: ClearConnections;
  /** The policies here are those of the routing host: a session, and its snapshot is complete. Else nothing passes. */
  readonly isReady: () => boolean;
  /** Datagrams of ours whose first fragment went out in clear. */
  readonly fragments: FragmentMemory;
  /** MTUs of the links, in bytes. */
  readonly limits: { readonly outside: number; readonly cluster: number };
  readonly delivery: Pick<InnerDelivery, 'admit'>;
  readonly raw: PacketSink;
  /** Seals packets for the routing host, which sends them on, of DVIPAs whose answers leave there; says how many went. */
  readonly sendToRouter: (vector: PacketVector) => number;
  /** This host's kernel, for what it must hear about its packets. */
  readonly kernel: PacketSink;
  readonly drops: DropCounters;
  /** A packet that leaves in clear: for flow tracking. */
  readonly onOutbound: (vector: PacketVector, i: number) => void;
  readonly now: () => number;
}

/**
 * Clear text on a target (docs/inbound.md, section 5), of DVIPAs that distribute it. In: what the routing host passed on is judged again by this
 * host's own rules and policies. Out: a packet that no policy is about leaves in clear if it belongs to a connection that came so,
 * and rules and policies allow that connection in clear now. Nothing else does: what began through an SA stays there when the SA is gone.
 */
export class ClearText {
  readonly #options: ClearTextOptions;
  readonly #check: ClearCheck;
  readonly #out: PacketVector;
  /** Once there is such a DVIPA. */
  #toRouter: PacketVector | undefined;
  readonly #messages = new PacketVector(MESSAGES);
  readonly #key = newConnectionKey();
  readonly #fit: SegmentFit;
  /** Packets and bytes that left in clear. */
  packets = 0;
  bytes = 0;
  /** Packets among them that the routing host sends. */
  handedOver = 0;

  constructor(options: ClearTextOptions) {
    this.#options = options;
    const { outside, cluster } = options.limits;
    this.#check = new ClearCheck(options.dvipas, options.covers);
    this.#out = new PacketVector(OUT_PACKETS, slotBytesFor(outside));
    const segment = Math.min(outside, cluster - SEALED_LINK_BYTES);
    this.#fit = {
      mss4: segment - SEGMENT_HEADER_BYTES.ipv4,
      mss6: segment - SEGMENT_HEADER_BYTES.ipv6,
    };
  }

  /** Packet `i` came to the routing host in clear, and over the sealed link here. KEEP: the TUN may have it. */
  inbound(vector: PacketVector, i: number): Verdict {
    const { connections, isReady, delivery, now } = this.#options;
    if (!isReady()) return CLEAR;
    const refused = this.#check.inbound(vector, i);
    if (refused !== KEEP) return refused;
    const { connection } = this.#check;
    if (isError(vector, i)) {
      if (!connections.has(connection, now())) return CLEAR;
    } else if (beginsSomething(vector, i)) {
      if (!connections.admit(connection, vector.tcpFlags[i] as number, now())) return CLEAR;
    }
    delivery.admit(vector, i, CLEAR_GROUP, this.#fit);
    return vector.verdict[i] as Verdict;
  }

  /** Packet `i` goes through an SA, in either direction: its connection is none in clear. Its headers were read. */
  protect(vector: PacketVector, i: number, isInbound: boolean): void {
    const { dvipas, connections, now } = this.#options;
    if (vector.fragment[i] === FRAGMENT.LATER || vector.quotedProtocol[i] !== 0) return;
    const local = isInbound ? vector.innerDestination : vector.innerSource;
    if (dvipas.get(local, i * ADDRESS_WORDS)?.distributesClear !== true) return;
    const key = readConnection(this.#key, vector, i, isInbound);
    if (!isIcmp(key.protocol)) connections.protect(key, vector.tcpFlags[i] as number, isInbound, now());
  }

  /**
   * Packet `i` of our own kernel, which no policy is about; its headers were read. ELSEWHERE: it leaves in clear, with `flush` at the
   * latest. Else why not.
   */
  outbound(vector: PacketVector, i: number): Verdict {
    const { isReady, limits, onOutbound } = this.#options;
    if (!isReady() || !this.#mayLeave(vector, i)) return NO_POLICY;
    clampSyn(vector, i, this.#fit);
    if ((vector.length[i] as number) > limits.outside) {
      if (this.#messages.count === this.#messages.capacity) this.#flushMessages();
      addTooBigMessage(vector, i, limits.outside, this.#messages);
      return TOO_BIG;
    }
    const out = this.#outFor(vector, i);
    if (out.count === out.capacity) this.flush();
    if (!out.push(vector.packet(i))) return TOO_BIG;
    if (vector.fragment[i] !== FRAGMENT.LATER) onOutbound(vector, i);
    return ELSEWHERE;
  }

  /** Sends what `outbound` has taken. */
  flush(): void {
    this.#flushMessages();
    const { raw, sendToRouter } = this.#options;
    this.packets += this.#send(this.#out, 0, (out) => raw.send(out));
    if (this.#toRouter === undefined) return;
    const handedOver = this.#send(this.#toRouter, SEAL_BYTES, sendToRouter);
    this.packets += handedOver;
    this.handedOver += handedOver;
  }

  /** Call it regularly. */
  tick(now: number): void {
    this.#options.connections.sweep(now);
  }

  /** `return: router`: nothing of such a DVIPA leaves from this host. */
  #outFor(vector: PacketVector, i: number): PacketVector {
    const { dvipas, limits } = this.#options;
    if (dvipas.get(vector.innerSource, i * ADDRESS_WORDS)?.returnVia !== 'router') return this.#out;
    this.#toRouter ??= new PacketVector(OUT_PACKETS, slotBytesFor(limits.outside));
    return this.#toRouter;
  }

  /** `added`: bytes that sending puts around each packet. */
  #send(out: PacketVector, added: number, send: (out: PacketVector) => number): number {
    if (out.count === 0) return 0;
    const sent = send(out);
    for (let i = 0; i < out.count; i++) {
      if (out.verdict[i] === KEEP) this.bytes += (out.length[i] as number) - added;
    }
    out.countDrops(this.#options.drops);
    out.reset();
    return sent;
  }

  #flushMessages(): void {
    if (this.#messages.count === 0) return;
    this.#options.kernel.send(this.#messages);
    this.#messages.reset();
  }

  #mayLeave(vector: PacketVector, i: number): boolean {
    const { connections, fragments, now } = this.#options;
    const fragment = vector.fragment[i];
    if (fragment === FRAGMENT.LATER) return fragments.lookup(vector, i, CLEAR_GROUP) >= 0;
    if (!this.#check.outbound(vector, i)) return false;
    const { connection } = this.#check;
    if (isError(vector, i)) return connections.has(connection, now());
    if (!mayAnswer(vector, i)) return false;
    if (!connections.answers(connection, vector.tcpFlags[i] as number, now())) return false;
    if (fragment === FRAGMENT.FIRST) fragments.learn(vector, i, CLEAR_GROUP, 0);
    return true;
  }
}

/** Messages of ICMP that want no answer leave no trace. */
function beginsSomething(vector: PacketVector, i: number): boolean {
  const protocol = vector.protocol[i];
  const type = vector.destinationPort[i];
  if (protocol === IP_PROTOCOL.ICMP) return type === ECHO_REQUEST;
  return protocol !== IP_PROTOCOL.ICMPV6 || type === ECHO_REQUEST6;
}
