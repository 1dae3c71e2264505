import type { DropCounters } from '../base/verdict.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { ADDRESS_WORDS, copyAddress, newAddress } from '../packet/address.ts';
import { encodeFragmentationNeeded, ICMP_HEADER_BYTES, ICMP_MAX_QUOTE_BYTES } from '../packet/icmp.ts';
import {
  encodeIcmpv6Error,
  ICMPV6_HEADER_BYTES,
  ICMPV6_MAX_QUOTE_BYTES,
  ICMPV6_TYPE,
} from '../packet/icmpv6.ts';
import { encodeIpv4, IPV4_HEADER_BYTES } from '../packet/ipv4.ts';
import { encodeIpv6, IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { IP_PROTOCOL, isIcmpError } from '../packet/protocols.ts';
import type { PacketSink } from './ports.ts';
import { PacketVector } from './vector.ts';

/** One answer for an SA in so long: a path MTU concerns the peer, not one packet, and whoever missed it asks again. */
const ANSWER_INTERVAL_MS = 10;

/**
 * "Fragmentation needed" and "packet too big" for our own kernel, which lowers its path MTU and goes on with smaller packets. They come from
 * the packet's own destination, the only address of that side which the kernel's checks of sources let pass.
 */
export class TooBigAnswers {
  readonly #tun: PacketSink;
  readonly #drops: DropCounters;
  readonly #vector = new PacketVector(1);
  readonly #source = newAddress();
  readonly #destination = newAddress();
  /** By SA slot. */
  readonly #answeredAt: number[] = [];

  constructor(options: { readonly tun: PacketSink; readonly drops: DropCounters }) {
    this.#tun = options.tun;
    this.#drops = options.drops;
  }

  /** Tells the sender of inner packet `i`, whose SA is found, that `mtu` bytes fit. */
  answer(vector: PacketVector, i: number, mtu: number, now: number): void {
    const slot = vector.saSlot[i] as number;
    if (now - (this.#answeredAt[slot] ?? Number.NEGATIVE_INFINITY) < ANSWER_INTERVAL_MS) return;
    if (!mayBeAnswered(vector, i)) return;
    this.#answeredAt[slot] = now;
    copyAddress(vector.innerDestination, i * ADDRESS_WORDS, this.#source, 0);
    copyAddress(vector.innerSource, i * ADDRESS_WORDS, this.#destination, 0);
    this.#vector.reset();
    this.#vector.count = 1;
    if (vector.family[i] === 6) this.#write6(vector, i, mtu);
    else this.#write4(vector, i, mtu);
    this.#tun.send(this.#vector);
    this.#vector.countDrops(this.#drops);
  }

  #write4(vector: PacketVector, i: number, mtu: number): void {
    const { slab } = this.#vector;
    const offset = this.#vector.offset[0] as number;
    const icmp = offset + IPV4_HEADER_BYTES;
    const quoteBytes = this.#quote(vector, i, icmp + ICMP_HEADER_BYTES, ICMP_MAX_QUOTE_BYTES);
    const totalBytes = IPV4_HEADER_BYTES + encodeFragmentationNeeded(slab, icmp, mtu, quoteBytes);
    encodeIpv4(slab, offset, {
      totalBytes,
      protocol: IP_PROTOCOL.ICMP,
      source: this.#source[3] as number,
      destination: this.#destination[3] as number,
    });
    this.#vector.length[0] = totalBytes;
  }

  #write6(vector: PacketVector, i: number, mtu: number): void {
    const { slab } = this.#vector;
    const [source, destination] = [this.#source, this.#destination];
    const offset = this.#vector.offset[0] as number;
    const icmp = offset + IPV6_HEADER_BYTES;
    const quoteBytes = this.#quote(vector, i, icmp + ICMPV6_HEADER_BYTES, ICMPV6_MAX_QUOTE_BYTES);
    const payloadBytes = encodeIcmpv6Error(slab, icmp, {
      type: ICMPV6_TYPE.PACKET_TOO_BIG,
      parameter: mtu,
      quoteBytes,
      source,
      destination,
    });
    encodeIpv6(slab, offset, { payloadBytes, protocol: IP_PROTOCOL.ICMPV6, source, destination });
    this.#vector.length[0] = IPV6_HEADER_BYTES + payloadBytes;
  }

  #quote(vector: PacketVector, i: number, at: number, maxBytes: number): number {
    const from = vector.offset[i] as number;
    const bytes = Math.min(vector.length[i] as number, maxBytes);
    vector.slab.copy(this.#vector.slab, at, from, from + bytes);
    return bytes;
  }
}

/** Errors are not answered with errors, and a later fragment names no socket (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e). */
function mayBeAnswered(vector: PacketVector, i: number): boolean {
  if (vector.fragment[i] === FRAGMENT.LATER) return false;
  const type = (vector.destinationPort[i] as number) >> 8;
  return !isIcmpError(vector.protocol[i] as number, type);
}
