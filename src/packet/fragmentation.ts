import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { internetChecksum } from './checksum.ts';
import { MAX_DATAGRAM_BYTES } from './fragment-header.ts';
import { IPV4_HEADER_BYTES, Ipv4Header, parseIpv4 } from './ipv4.ts';
import { IPV6_HEADER_BYTES } from './ipv6.ts';
import { IPV6_FRAGMENT_HEADER_BYTES, Ipv6Chain, walkIpv6Chain } from './ipv6-chain.ts';
import { IP_PROTOCOL } from './protocols.ts';

const TRUNCATED = verdictOf('truncated');
const MALFORMED = verdictOf('malformed');
const TOO_BIG = verdictOf('too-big');

const MF = 0x2000;
const DF = 0x4000;
/** Options with this bit go into every fragment, others into the first one only (RFC 791 section 3.1). */
const COPIED = 0x80;
const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;

/** Takes one fragment: the bytes are valid during the call only. */
export type FragmentSink = (slab: Buffer, offset: number, length: number) => void;

export interface Cut {
  /** No fragment is longer. */
  readonly mtu: number;
  /**
   * For IPv6, and for an IPv4 datagram that has identification 0 and is no fragment yet (1 to 65535 are made of it: a kernel that
   * finds 0 in a raw packet puts in one of its own, another one into every fragment). Not the last one's for the same addresses.
   */
  readonly identification: number;
}

/**
 * Cuts datagrams into fragments (RFC 791 section 3.2, RFC 8200 section 4.5). The source datagram stays as it is; fragments are made
 * in a buffer of this object, one after the other, first one first.
 */
export class Fragmenter {
  readonly #out: Buffer;
  readonly #ipv4 = new Ipv4Header();
  readonly #chain = new Ipv6Chain();

  /** `maxMtu`: what `cut` may be asked for. */
  constructor(maxMtu: number) {
    this.#out = Buffer.alloc(maxMtu);
  }

  /**
   * Gives the fragments of the datagram to `emit`, or the datagram itself if it is no longer than the MTU. IPv4 fragments may be cut
   * again. `too-big`, and nothing is emitted: IPv4 with DF, an IPv6 packet that its source has cut already (RFC 8200 section 4.5 leaves
   * it to the source), an MTU with no room for data, and one where not all IPv6 headers fit the first fragment.
   */
  cut(slab: Buffer, offset: number, length: number, to: Cut, emit: FragmentSink): Verdict {
    if (length < IPV4_HEADER_BYTES) return TRUNCATED;
    if (to.mtu > this.#out.length) throw new RangeError('an MTU above the largest one');
    const version = slab.readUInt8(offset) >> 4;
    if (version === 6) return this.#cut6(slab, offset, length, to, emit);
    return this.#cut4(slab, offset, length, to, emit);
  }

  #cut4(slab: Buffer, offset: number, length: number, to: Cut, emit: FragmentSink): Verdict {
    const header = this.#ipv4;
    const bad = parseIpv4(slab, offset, length, header);
    if (bad !== KEEP) return bad;
    const { totalBytes, headerBytes } = header;
    if (totalBytes <= to.mtu) {
      emit(slab, offset, totalBytes);
      return KEEP;
    }
    const room = (to.mtu - headerBytes) & ~7;
    if (header.hasDontFragment || room < 8) return TOO_BIG;
    const field = slab.readUInt16BE(offset + 6);
    const dataBytes = totalBytes - headerBytes;
    const isOdd = (field & MF) !== 0 && dataBytes % 8 !== 0;
    if (isOdd || header.fragmentOffset + dataBytes > MAX_DATAGRAM_BYTES) return MALFORMED;
    slab.copy(this.#out, 0, offset, offset + headerBytes);
    if (!header.isFragment && header.identification === 0)
      this.#out.writeUInt16BE((to.identification % 0xffff) + 1, 4);
    let outHeaderBytes = headerBytes;
    for (let done = 0; done < dataBytes; ) {
      const left = dataBytes - done;
      const isLast = left <= to.mtu - outHeaderBytes;
      const bytes = isLast ? left : (to.mtu - outHeaderBytes) & ~7;
      const from = offset + headerBytes + done;
      slab.copy(this.#out, outHeaderBytes, from, from + bytes);
      const more = isLast ? field & MF : MF;
      this.#finish4(outHeaderBytes, bytes, more | ((header.fragmentOffset + done) >> 3));
      emit(this.#out, 0, outHeaderBytes + bytes);
      if (done === 0) outHeaderBytes = keepCopiedOptions(this.#out, outHeaderBytes);
      done += bytes;
    }
    return KEEP;
  }

  #finish4(headerBytes: number, dataBytes: number, field: number): void {
    const out = this.#out;
    out.writeUInt8(0x40 | (headerBytes / 4), 0);
    out.writeUInt16BE(headerBytes + dataBytes, 2);
    out.writeUInt16BE(field & ~DF, 6);
    out.writeUInt16BE(0, 10);
    out.writeUInt16BE(internetChecksum(out, 0, headerBytes), 10);
  }

  #cut6(slab: Buffer, offset: number, length: number, to: Cut, emit: FragmentSink): Verdict {
    if (length < IPV6_HEADER_BYTES) return TRUNCATED;
    const totalBytes = IPV6_HEADER_BYTES + slab.readUInt16BE(offset + 4);
    if (totalBytes > length) return TRUNCATED;
    if (totalBytes <= to.mtu) {
      emit(slab, offset, totalBytes);
      return KEEP;
    }
    const bad = walkIpv6Chain(slab, offset, totalBytes, this.#chain);
    if (bad !== KEEP) return bad;
    const { fragmentAt, perFragmentBytes, splitNamedAt, upperAt } = this.#chain;
    const headerBytes = perFragmentBytes + IPV6_FRAGMENT_HEADER_BYTES;
    const room = (to.mtu - headerBytes) & ~7;
    // RFC 8200 section 4.5, RFC 7112: the first fragment has all headers, and of the upper one at least the ports.
    if (fragmentAt >= 0 || room < 8 || upperAt - perFragmentBytes >= room) return TOO_BIG;
    const out = this.#out;
    slab.copy(out, 0, offset, offset + perFragmentBytes);
    const nextHeader = out.readUInt8(splitNamedAt);
    out.writeUInt8(IP_PROTOCOL.IPV6_FRAGMENT, splitNamedAt);
    out.writeUInt16BE(nextHeader << 8, perFragmentBytes);
    out.writeUInt32BE(to.identification >>> 0, perFragmentBytes + 4);
    for (let done = 0, left = totalBytes - perFragmentBytes; left > 0; ) {
      const isLast = left <= to.mtu - headerBytes;
      const bytes = isLast ? left : room;
      const from = offset + perFragmentBytes + done;
      slab.copy(out, headerBytes, from, from + bytes);
      out.writeUInt16BE(headerBytes + bytes - IPV6_HEADER_BYTES, 4);
      out.writeUInt16BE(done | (isLast ? 0 : 1), perFragmentBytes + 2);
      emit(out, 0, headerBytes + bytes);
      done += bytes;
      left -= bytes;
    }
    return KEEP;
  }
}

/** Leaves the options of every fragment in the header (RFC 791 section 3.2); returns its new length. What is damaged goes. */
function keepCopiedOptions(header: Buffer, headerBytes: number): number {
  let kept = IPV4_HEADER_BYTES;
  for (let at = IPV4_HEADER_BYTES; at < headerBytes; ) {
    const kind = header.readUInt8(at);
    if (kind === END_OF_OPTIONS) break;
    const bytes = kind === NO_OPERATION ? 1 : at + 1 < headerBytes ? header.readUInt8(at + 1) : 0;
    if (bytes < 1 || (kind !== NO_OPERATION && bytes < 2) || at + bytes > headerBytes) break;
    if ((kind & COPIED) !== 0) {
      header.copyWithin(kept, at, at + bytes);
      kept += bytes;
    }
    at += bytes;
  }
  const padded = Math.ceil(kept / 4) * 4;
  header.fill(END_OF_OPTIONS, kept, padded);
  return padded;
}
