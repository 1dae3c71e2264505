import { KEEP } from '../base/verdict.ts';
import { isIpv4 } from '../packet/address.ts';
import { type FragmentSink, Fragmenter } from '../packet/fragmentation.ts';
import { IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { writeUdpChecksum } from '../packet/udp.ts';
import type { OuterHeader } from './encapsulate.ts';
import type { OutboundSad } from './outbound-sad.ts';
import type { SendingSa } from './sending-sa.ts';
import type { PacketSink } from './ports.ts';
import { LARGE_SLOT_BYTES, PacketVector } from './vector.ts';

/** Pieces that go out in one call. */
const PIECES = 256;
const LARGE_PIECES = 32;
/** Spreads the SPIs of one peer over the identifications (2^32 divided by the golden ratio). */
const SPREAD = 0x9e37_79b1;

/**
 * Sends sealed packets of which some are longer than the path MTU: those go out in fragments (RFC 4303 section 3.3.4), between the
 * others, since the peer's replay window may be narrow. The identification is made of SPI and sequence number: several hosts
 * send from one address, and of an SA no two packets share a number.
 */
export class OuterCut {
  readonly #raw: PacketSink;
  readonly #fragmenter = new Fragmenter(0xffff);
  #out = new PacketVector(PIECES);
  /** Of each piece, the packet that it is of. */
  readonly #of = new Uint32Array(PIECES);
  readonly #to = { mtu: 0, identification: 0 };
  readonly #emit: FragmentSink = (slab, offset, length) => this.#put(slab.subarray(offset, offset + length));
  #vector: PacketVector | undefined;
  #i = 0;
  #sent = 0;

  constructor(raw: PacketSink) {
    this.#raw = raw;
  }

  /** As `PacketSink.send`; returns how many pieces went out. `too-big`: it may not be cut. */
  send(vector: PacketVector, sad: OutboundSad<SendingSa>): number {
    this.#vector = vector;
    this.#sent = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      this.#i = i;
      const { fit, outer, sa } = sad.at(vector.saSlot[i] as number) as SendingSa;
      this.#to.mtu = fit.outerMtu;
      this.#to.identification = ((vector.sequenceLow[i] as number) + Math.imul(sa.spi, SPREAD)) >>> 0;
      const offset = vector.offset[i] as number;
      const length = vector.length[i] as number;
      if (length > fit.outerMtu) finishChecksum(vector.slab, offset, length, outer);
      const bad = this.#fragmenter.cut(vector.slab, offset, length, this.#to, this.#emit);
      if (bad !== KEEP) vector.verdict[i] = bad;
    }
    this.#flush();
    this.#vector = undefined;
    return this.#sent;
  }

  #put(piece: Buffer): void {
    if (this.#out.count === this.#out.capacity) this.#flush();
    if (piece.length > this.#out.roomBytes) this.#makeLarge();
    this.#of[this.#out.count] = this.#i;
    this.#out.push(piece);
  }

  /** Pieces of jumbo frames: from the first one on. */
  #makeLarge(): void {
    this.#flush();
    this.#out = new PacketVector(LARGE_PIECES, LARGE_SLOT_BYTES);
  }

  #flush(): void {
    const [out, vector] = [this.#out, this.#vector as PacketVector];
    if (out.count === 0) return;
    this.#sent += this.#raw.send(out);
    for (let j = 0; j < out.count; j++) {
      const verdict = out.verdict[j] as number;
      if (verdict !== KEEP) vector.verdict[this.#of[j] as number] = verdict;
    }
    out.reset();
  }
}

/** What fragments carry is summed as a whole: nobody can do that later. */
function finishChecksum(slab: Buffer, offset: number, length: number, outer: OuterHeader): void {
  if (!outer.hasUdpEncapsulation || isIpv4(outer.source)) return;
  const [at, bytes] = [offset + IPV6_HEADER_BYTES, length - IPV6_HEADER_BYTES];
  writeUdpChecksum(slab, at, bytes, outer.source, 0, outer.destination, 0);
}
