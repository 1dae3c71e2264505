import { IPV4_HEADER_BYTES } from '../packet/ipv4.ts';
import { IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { TCP_HEADER_BYTES } from '../packet/tcp.ts';
import { UDP_HEADER_BYTES } from '../packet/udp.ts';
import { type EspSuite, plainBytesWithin } from './algorithms.ts';

/**
 * The lowest path MTU that a message may tell us. IPv6: RFC 8201 section 4, a message with less is discarded. IPv4: 512 bytes and headers of 40,
 * as Linux has it (`min_pmtu`); RFC 1191 section 3 allows 68, with which a forger would cut everything to pieces.
 */
export const MIN_PATH_MTU = { 4: 552, 6: 1280 } as const;

/** How long a lowered value is believed before a larger one is tried (RFC 1191 section 6.3, RFC 8201 section 5.3). */
const AGE_MS = 10 * 60_000;

/** MTUs of real links, for routers that tell none (RFC 1191 section 7.1). */
const PLATEAUS = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68];

/**
 * The path MTU to one peer (RFC 1191, RFC 8201). It starts as the outside link's, is lowered by "fragmentation needed" and "packet too
 * big", never raised by any message, and forgets what it was told after ten minutes. Nobody authenticates these messages: the
 * caller believes them only if the quote is of a live SA's packet to this peer, and the floor bounds what a forger can do.
 */
export class PathMtu {
  readonly #family: 4 | 6;
  readonly #linkMtu: number;
  #mtu: number;
  #loweredAt = 0;

  constructor(family: 4 | 6, linkMtu: number) {
    this.#family = family;
    this.#linkMtu = linkMtu;
    this.#mtu = linkMtu;
  }

  /** Bytes of a whole outer packet. */
  current(now: number): number {
    if (this.#mtu < this.#linkMtu && now - this.#loweredAt >= AGE_MS) this.#mtu = this.#linkMtu;
    return this.#mtu;
  }

  /** A message has lowered it, and is believed still. */
  isLowered(now: number): boolean {
    return this.current(now) < this.#linkMtu;
  }

  /**
   * A message says `mtu`; `quotedBytes` is the total length in the header that it quotes. An IPv4 router that says 0 knows none:
   * then the next plateau below that length is taken (RFC 1191 section 5). True: the path MTU is smaller now.
   */
  lower(mtu: number, quotedBytes: number, now: number): boolean {
    const told = mtu === 0 && this.#family === 4 ? plateauBelow(quotedBytes) : mtu;
    const floor = MIN_PATH_MTU[this.#family];
    if (this.#family === 6 && told < floor) return false;
    const lowered = Math.max(told, floor);
    if (lowered >= this.current(now)) return false;
    this.#mtu = lowered;
    this.#loweredAt = now;
    return true;
  }
}

function plateauBelow(bytes: number): number {
  return PLATEAUS.find((plateau) => plateau < bytes) ?? 0;
}

/** What of an SA decides how much fits into its packets. */
export interface EspShape {
  readonly suite: EspSuite;
  readonly mode: 'tunnel' | 'transport';
  readonly outerFamily: 4 | 6;
  /** ESP in UDP (RFC 3948). */
  readonly hasUdpEncapsulation: boolean;
}

/** Length of an IP header without options or extension headers. */
export function ipHeaderBytes(family: 4 | 6): number {
  return family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
}

/**
 * The longest inner packet, IP header included, whose sealed packet is no longer than `pathMtu`; not above 0 if none is. In tunnel mode all
 * of it is sealed. In transport mode its IP header stays outside; `headerBytes` says how long it is, options and extension headers
 * that come before ESP included.
 */
export function largestInnerBytes(
  shape: EspShape,
  pathMtu: number,
  headerBytes = ipHeaderBytes(shape.outerFamily),
): number {
  const udpBytes = shape.hasUdpEncapsulation ? UDP_HEADER_BYTES : 0;
  if (shape.mode === 'transport')
    return headerBytes + plainBytesWithin(shape.suite, pathMtu - udpBytes - headerBytes);
  return plainBytesWithin(shape.suite, pathMtu - udpBytes - ipHeaderBytes(shape.outerFamily));
}

/**
 * The MTU of the tunnel as its users are told it, in "too big" messages and on an interface. Inner IPv6 is never told less than 1280
 * (RFC 8200 section 5): where less fits, the packet is sealed whole and its outer packet is cut (RFC 2473 section 7.1).
 */
export function innerMtu(shape: EspShape, pathMtu: number, innerFamily: 4 | 6): number {
  const largest = largestInnerBytes(shape, pathMtu);
  return innerFamily === 6 ? Math.max(largest, MIN_PATH_MTU[6]) : largest;
}

/**
 * The largest MSS for TCP through the SA (RFC 9293 section 3.7.1: options are not subtracted). Of what really fits, so that not even
 * IPv6 on a narrow path needs fragments.
 */
export function innerMss(shape: EspShape, pathMtu: number, innerFamily: 4 | 6): number {
  return largestInnerBytes(shape, pathMtu) - ipHeaderBytes(innerFamily) - TCP_HEADER_BYTES;
}
