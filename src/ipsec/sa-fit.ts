import { GRE_SEQUENCED_HEADER_BYTES } from '../packet/gre.ts';
import { IPV4_HEADER_BYTES } from '../packet/ipv4.ts';
import { UDP_HEADER_BYTES } from '../packet/udp.ts';
import { plainBytesWithin } from './algorithms.ts';
import { type EspShape, innerMss, innerMtu, ipHeaderBytes, type PathMtu } from './path-mtu.ts';

/** What the trusted link puts around a peer's datagram: GRE in UDP (RFC 8086) over IPv4. */
export const LINK_OVERHEAD_BYTES = IPV4_HEADER_BYTES + UDP_HEADER_BYTES + GRE_SEQUENCED_HEADER_BYTES;
/** IPv4's total length has 16 bits. */
const DATAGRAM_MAX_BYTES = 65_535;

/** MTUs of a host's two networks, in bytes. */
export interface LinkMtus {
  readonly outside: number;
  readonly cluster: number;
}

export const ETHERNET_MTUS: LinkMtus = { outside: 1500, cluster: 1500 };

/**
 * What fits into the packets of one SA, worked out when the path MTU changes and not per packet. `refresh` before reading. Numbers are
 * bytes. A peer that moves gets another object.
 */
export class SaFit {
  readonly path: PathMtu;
  readonly #shape: EspShape;
  readonly #linkMtus: LinkMtus;
  /** Of a whole outer packet. */
  pathMtu = 0;
  /** The longest payload of ESP in one outer packet: of inner packets in tunnel mode, of what is behind their IP header in transport mode. */
  payloadBytes = 0;
  /** The same for an outer datagram that is cut. */
  readonly longestPayloadBytes: number;
  #mss4 = 0;
  #mss6 = 0;

  constructor(shape: EspShape, path: PathMtu, linkMtus: LinkMtus = ETHERNET_MTUS) {
    this.#shape = shape;
    this.path = path;
    this.#linkMtus = linkMtus;
    this.longestPayloadBytes = this.#payloadWithin(DATAGRAM_MAX_BYTES);
  }

  refresh(now: number): void {
    const pathMtu = this.path.current(now);
    if (pathMtu === this.pathMtu) return;
    this.pathMtu = pathMtu;
    this.payloadBytes = this.#payloadWithin(pathMtu);
    // What the peer sends us crosses the cluster in GRE: neither direction should need fragments.
    const bothWays = Math.min(pathMtu, this.#linkMtus.cluster - LINK_OVERHEAD_BYTES);
    this.#mss4 = innerMss(this.#shape, bothWays, 4);
    this.#mss6 = innerMss(this.#shape, bothWays, 6);
  }

  /** The largest MSS of TCP through the SA, in either direction. */
  mss(innerFamily: number): number {
    return innerFamily === 6 ? this.#mss6 : this.#mss4;
  }

  /** What a sender whose packet does not fit is told. */
  innerMtu(innerFamily: number): number {
    return innerMtu(this.#shape, this.pathMtu, innerFamily === 6 ? 6 : 4);
  }

  #payloadWithin(outerBytes: number): number {
    const { suite, outerFamily, hasUdpEncapsulation } = this.#shape;
    const udpBytes = hasUdpEncapsulation ? UDP_HEADER_BYTES : 0;
    return plainBytesWithin(suite, outerBytes - ipHeaderBytes(outerFamily) - udpBytes);
  }
}
