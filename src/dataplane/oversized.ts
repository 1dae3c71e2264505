import { type DropCounters, KEEP, type Verdict } from '../base/verdict.ts';
import { internetChecksum } from '../packet/checksum.ts';
import { MAX_DATAGRAM_BYTES } from '../packet/fragment-header.ts';
import type { WordHash } from '../packet/fragment-table.ts';
import { Fragmenter } from '../packet/fragmentation.ts';
import { DEFAULT_REASSEMBLY_LIMITS, Reassembler } from '../packet/reassembly.ts';
import { LARGE_SLOT_BYTES, PacketVector } from './vector.ts';

/** Pieces that go on together. */
const PIECES = 16;
const DF = 0x4000;

/** Where datagrams are cut: a vector of pieces that is filled and handed on, again and again. Costs nothing until it is used. */
export class Cutter {
  #identification: number;
  #fragmenter: Fragmenter | undefined;
  #pieces: PacketVector | undefined;

  /** `identification`: 32 random bits; it goes on from there, so that hosts with one endpoint seldom meet. */
  constructor(identification: number) {
    this.#identification = identification;
  }

  /**
   * Cuts packet `i` into fragments of at most `mtu` bytes. `take` gets them, the first one first, in vectors that are valid during the
   * call. A reason to drop it, and `take` is not called: as `Fragmenter.cut`.
   */
  cut(vector: PacketVector, i: number, mtu: number, take: (pieces: PacketVector) => void): Verdict {
    this.#fragmenter ??= new Fragmenter(MAX_DATAGRAM_BYTES);
    this.#pieces ??= new PacketVector(PIECES, LARGE_SLOT_BYTES);
    const pieces = this.#pieces;
    pieces.reset();
    this.#identification = (this.#identification + 1) >>> 0;
    const verdict = this.#fragmenter.cut(
      vector.slab,
      vector.offset[i] as number,
      vector.length[i] as number,
      { mtu, identification: this.#identification },
      (slab, offset, length) => {
        if (pieces.count === pieces.capacity) {
          take(pieces);
          pieces.reset();
        }
        pieces.push(slab.subarray(offset, offset + length));
      },
    );
    if (pieces.count > 0) take(pieces);
    return verdict;
  }
}

/**
 * Datagrams that our own kernel has cut before transport mode saw them, put together again: ESP is applied to whole datagrams (RFC 4303
 * section 3.3.4). Costs nothing until the first fragment.
 */
export class OwnReassembly {
  readonly #options: { readonly hash: WordHash; readonly drops: DropCounters };
  #reassembler: Reassembler | undefined;
  #rebuilt: PacketVector | undefined;

  constructor(options: { readonly hash: WordHash; readonly drops: DropCounters }) {
    this.#options = options;
  }

  /**
   * Takes packet `i`, a fragment. KEEP: its datagram is complete, and is the one packet of `rebuilt` until the next call. Else ELSEWHERE,
   * or a reason to drop the fragment.
   */
  take(vector: PacketVector, i: number, now: number): Verdict {
    this.#reassembler ??= new Reassembler({
      ...this.#options,
      // A DVIPA is one source: it has all the room.
      limits: {
        datagramsPerSource: DEFAULT_REASSEMBLY_LIMITS.datagrams,
        bytesPerSource: DEFAULT_REASSEMBLY_LIMITS.bytes,
      },
    });
    const reassembler = this.#reassembler;
    const [at, bytes] = [vector.offset[i] as number, vector.length[i] as number];
    const verdict = reassembler.take(vector.slab, at, bytes, now);
    if (verdict !== KEEP) return verdict;
    const { rebuilt } = this;
    rebuilt.reset();
    rebuilt.push(reassembler.slab.subarray(0, reassembler.length));
    allowFragments(rebuilt);
    return KEEP;
  }

  get rebuilt(): PacketVector {
    this.#rebuilt ??= new PacketVector(1, LARGE_SLOT_BYTES);
    return this.#rebuilt;
  }

  /** Gives up what waited too long, and counts it. */
  tick(now: number): void {
    this.#reassembler?.expire(now);
  }
}

/** What its sender has cut once may be cut again. */
function allowFragments({ slab, offset: [at = 0] }: PacketVector): void {
  if (slab.readUInt8(at) >> 4 !== 4) return;
  const field = slab.readUInt16BE(at + 6);
  if ((field & DF) === 0) return;
  slab.writeUInt16BE(field & ~DF, at + 6);
  slab.writeUInt16BE(0, at + 10);
  slab.writeUInt16BE(internetChecksum(slab, at, (slab.readUInt8(at) & 15) * 4), at + 10);
}
