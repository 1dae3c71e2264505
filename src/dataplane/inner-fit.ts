import { type DropCounters, ELSEWHERE, KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { type FragmentSink, Fragmenter } from '../packet/fragmentation.ts';
import type { WordHash } from '../packet/fragment-table.ts';
import { Reassembler } from '../packet/reassembly.ts';
import type { SendingSa } from './sending-sa.ts';
import type { PacketSink } from './ports.ts';
import { clampSyn } from './syn-mss.ts';
import { addTooBigMessage } from './too-big-message.ts';
import { LARGE_SLOT_BYTES, PacketVector } from './vector.ts';

const TOO_BIG = verdictOf('too-big');
const QUEUE_OVERFLOW = verdictOf('queue-overflow');

/** What packets become, in pieces; and what of that is longer than an ordinary slot: whole datagrams, jumbo frames. */
const PIECES = 512;
const LARGE_PACKETS = 32;
/** One packet of 64 KB may become so many: on the narrowest path that is believed, and where pieces need the larger slots. */
const PIECES_OF_ONE = 160;
const LARGE_OF_ONE = 20;
const MESSAGES = 16;
/** All fragments have one source here, the DVIPA's host itself. */
const REASSEMBLY = {
  datagrams: 256,
  datagramsPerSource: 256,
  bytes: 4 * 2 ** 20,
  bytesPerSource: 4 * 2 ** 20,
};
/** The sealed packet is longer by less than this, and no IP packet is longer than 65535 bytes. */
const MAX_INNER_BYTES = 65_535 - 128;

export interface InnerFitOptions {
  /** This host's kernel, which hears what did not fit. */
  readonly kernel: PacketSink;
  readonly drops: DropCounters;
  readonly hash: WordHash;
}

/** `fits`: as it is, whatever becomes of the outer packet. `too-long`: nobody is told. */
type Fit = 'fits' | 'cut' | 'refuse' | 'too-long' | 'reassemble';

/** What has to become of inner packet `i`, whose headers were read, to be sealed. Changes nothing: `dvipa trace` asks it as well. */
export function fitOf(
  vector: PacketVector,
  i: number,
  { outer, fit }: SendingSa,
  wasReassembled: boolean,
): Fit {
  const isTransport = outer.mode === 'transport';
  if (isTransport && vector.fragment[i] !== FRAGMENT.WHOLE) return 'reassemble';
  const length = vector.length[i] as number;
  if (length <= fit.innerBytes) return 'fits';
  if (length > MAX_INNER_BYTES) return 'too-long';
  if (vector.family[i] === 6) return length > fit.innerMtu6 && !wasReassembled ? 'refuse' : 'fits';
  if (vector.dontFragment[i] === 1) return 'refuse';
  return isTransport ? 'fits' : 'cut';
}

/**
 * Makes inner packets fit their SA before they get a number (RFC 4301 section 8, RFC 4303 section 3.3.4). A SYN gets an MSS that fits. What is
 * too long and may not be cut is refused, and the sender told; IPv4 that may be is cut inside a tunnel, so that the peer gets whole ESP packets.
 * IPv6 of up to 1280 bytes, and transport mode, whose payload is always a whole datagram, are sealed as they are and cut outside (`outer-cut.ts`);
 * fragments for transport mode are put together first.
 */
export class InnerFit {
  readonly #options: InnerFitOptions;
  readonly #fragmenter = new Fragmenter(0xffff);
  readonly #reassembler: Reassembler;
  readonly #pieces = new PacketVector(PIECES);
  #large: PacketVector | undefined;
  readonly #messages = new PacketVector(MESSAGES);
  readonly #emit: FragmentSink = (slab, offset, length) => {
    if (!this.#into.push(slab.subarray(offset, offset + length))) this.#isFull = true;
  };
  #into = this.#pieces;
  #isFull = false;
  #isDraining = false;
  #identification = 0;

  constructor(options: InnerFitOptions) {
    this.#options = options;
    const { hash, drops } = options;
    this.#reassembler = new Reassembler({ hash, drops, limits: REASSEMBLY });
  }

  /** KEEP: packet `i` is fit to be sealed. ELSEWHERE: what it becomes comes out of `drain`. Else why it is dropped. */
  check(vector: PacketVector, i: number, sa: SendingSa, now: number): Verdict {
    const { fit } = sa;
    fit.refresh(now);
    const becomes = fitOf(vector, i, sa, this.#isOfReassembly(vector));
    if (becomes !== 'reassemble') clampSyn(vector, i, fit);
    switch (becomes) {
      case 'reassemble':
        return this.#reassemble(vector, i, now);
      case 'too-long':
        return TOO_BIG;
      case 'refuse':
        return this.#refuse(vector, i, vector.family[i] === 6 ? fit.innerMtu6 : fit.innerBytes);
      case 'cut':
        return this.#cut(vector, i, fit.innerBytes);
      case 'fits':
        return KEEP;
    }
  }

  /** There may not be room for what the next packet becomes: call `drain` first. */
  get mustDrain(): boolean {
    if (this.#isDraining) return false;
    const large = this.#large?.count ?? 0;
    return this.#pieces.count > PIECES - PIECES_OF_ONE || large > LARGE_PACKETS - LARGE_OF_ONE;
  }

  /** Gives `run` what packets became so far, and the kernel its messages. */
  drain(run: (vector: PacketVector) => void): void {
    this.#isDraining = true;
    for (const made of [this.#pieces, this.#large]) {
      if (made === undefined || made.count === 0) continue;
      run(made);
      made.reset();
    }
    this.#isDraining = false;
    if (this.#messages.count === 0) return;
    this.#options.kernel.send(this.#messages);
    this.#messages.reset();
  }

  /** Gives up fragments that waited too long. */
  tick(now: number): void {
    this.#reassembler.expire(now);
  }

  /** What came in fragments may be sent in fragments. */
  #isOfReassembly(vector: PacketVector): boolean {
    return vector === this.#pieces || vector === this.#large;
  }

  #refuse(vector: PacketVector, i: number, mtu: number): Verdict {
    addTooBigMessage(vector, i, mtu, this.#messages);
    return TOO_BIG;
  }

  #cut(vector: PacketVector, i: number, mtu: number): Verdict {
    this.#isFull = false;
    this.#into = this.#vectorFor(mtu);
    this.#identification = (this.#identification + 1) & 0xffff;
    const to = { mtu, identification: this.#identification };
    const length = vector.length[i] as number;
    const bad = this.#fragmenter.cut(vector.slab, vector.offset[i] as number, length, to, this.#emit);
    if (bad !== KEEP) return bad;
    return this.#isFull ? QUEUE_OVERFLOW : ELSEWHERE;
  }

  #reassemble(vector: PacketVector, i: number, now: number): Verdict {
    const reassembler = this.#reassembler;
    const length = vector.length[i] as number;
    const verdict = reassembler.take(vector.slab, vector.offset[i] as number, length, now);
    if (verdict !== KEEP) return verdict;
    const datagram = reassembler.slab.subarray(0, reassembler.length);
    return this.#vectorFor(datagram.length).push(datagram) ? ELSEWHERE : QUEUE_OVERFLOW;
  }

  #vectorFor(bytes: number): PacketVector {
    if (bytes <= this.#pieces.roomBytes) return this.#pieces;
    this.#large ??= new PacketVector(LARGE_PACKETS, LARGE_SLOT_BYTES);
    return this.#large;
  }
}
