import { type DropCounters, ELSEWHERE, KEEP, verdictOf } from '../base/verdict.ts';
import { NAT_TRAVERSAL_PORT } from '../packet/esp-header.ts';
import { IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import type { WordHash } from '../packet/fragment-table.ts';
import { Reassembler } from '../packet/reassembly.ts';
import { parseUdp, UDP_HEADER_BYTES, UdpHeader } from '../packet/udp.ts';
import { LARGE_SLOT_BYTES, PacketVector } from './vector.ts';

const FRAGMENT = verdictOf('fragment');

/** Datagrams that one vector of fragments can complete before the first of them must go on. */
const REBUILT_PACKETS = 8;
const IKE_PORT = 500;
/** SPI 0 in the place of ESP's: the non-ESP marker of IKE (RFC 3948 section 2.2). */
const NON_ESP_MARKER = 0;

const udp = new UdpHeader();

/**
 * Outer datagrams in fragments, put together before ESP is looked at (RFC 4303 section 3.4.1). Fragments of IKE come along,
 * since only a first fragment has ports; when they are complete they are left to charon, which got them as well.
 */
export class OuterReassembly {
  readonly #reassembler: Reassembler;
  readonly #rebuilt = new PacketVector(REBUILT_PACKETS, LARGE_SLOT_BYTES);

  constructor(options: { readonly hash: WordHash; readonly drops: DropCounters }) {
    this.#reassembler = new Reassembler(options);
  }

  /**
   * Takes the packets of a classified vector that are fragments to us (`fragment`); `route` gets the datagrams that are
   * complete with them, in vectors that are valid during the call.
   */
  take(vector: PacketVector, now: number, route: (rebuilt: PacketVector, now: number) => void): void {
    const rebuilt = this.#rebuilt;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== FRAGMENT) continue;
      const verdict = this.#reassembler.take(
        vector.slab,
        vector.offset[i] as number,
        vector.length[i] as number,
        now,
      );
      vector.verdict[i] = verdict === KEEP ? ELSEWHERE : verdict;
      if (verdict !== KEEP || isIke(this.#reassembler.slab, this.#reassembler.length)) continue;
      rebuilt.push(this.#reassembler.slab.subarray(0, this.#reassembler.length));
      if (rebuilt.count < rebuilt.capacity) continue;
      route(rebuilt, now);
      rebuilt.reset();
    }
    if (rebuilt.count === 0) return;
    route(rebuilt, now);
    rebuilt.reset();
  }

  /** Gives up what waited too long, and counts it. */
  tick(now: number): void {
    this.#reassembler.expire(now);
  }
}

function isIke(slab: Buffer, length: number): boolean {
  const isIpv6 = slab.readUInt8(0) >> 4 === 6;
  const headerBytes = isIpv6 ? IPV6_HEADER_BYTES : (slab.readUInt8(0) & 15) * 4;
  if (slab.readUInt8(isIpv6 ? 6 : 9) !== IP_PROTOCOL.UDP) return false;
  if (parseUdp(slab, headerBytes, length - headerBytes, udp) !== KEEP) return false;
  if (udp.destinationPort === IKE_PORT) return true;
  if (udp.destinationPort !== NAT_TRAVERSAL_PORT || udp.payloadBytes < 4) return false;
  return slab.readUInt32BE(headerBytes + UDP_HEADER_BYTES) === NON_ESP_MARKER;
}
