import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { foldChecksum, internetChecksum, pseudoHeaderSum4, pseudoHeaderSum6, sumWords } from './checksum.ts';
import type { FragmentSink } from './fragmentation.ts';
import { IPV6_HEADER_BYTES, IPV6_SOURCE_OFFSET } from './ipv6.ts';
import { IP_PROTOCOL } from './protocols.ts';
import { parseTcp, TCP_CHECKSUM_OFFSET, TCP_FLAG, TCP_FLAGS_OFFSET, TcpHeader } from './tcp.ts';

const TOO_BIG = verdictOf('too-big');

const SEQUENCE_OFFSET = 4;
/** Only the last segment carries these, and only the first one CWR (RFC 9293 section 3.1, RFC 3168 section 6.1.2). */
const LAST_ONLY = TCP_FLAG.FIN | TCP_FLAG.PSH;
const FIRST_ONLY = TCP_FLAG.CWR;

const header = new TcpHeader();

/**
 * Cuts a TCP segment into segments of packets of at most `mtu` bytes, as a network card does for its kernel: what is captured may be many
 * segments in one (a sender on the same machine leaves that to a card, a receiver's kernel has joined them). The packet at `offset` has a
 * TCP header at `upper`; its checksum is not looked at, those of the pieces are made anew. `out` has room for `mtu` bytes;
 * the sink gets each piece in it, first one first.
 */
export function cutTcp(
  slab: Buffer,
  offset: number,
  length: number,
  upper: number,
  mtu: number,
  out: Buffer,
  sink: FragmentSink,
): Verdict {
  const bad = parseTcp(slab, upper, offset + length - upper, header);
  if (bad !== KEEP) return bad;
  const headerBytes = upper - offset + header.headerBytes;
  const room = mtu - headerBytes;
  // Urgent data is where the whole segment says, and a SYN takes a number of its own: nobody joins those.
  if (room < 1 || (header.flags & (TCP_FLAG.SYN | TCP_FLAG.RST | TCP_FLAG.URG)) !== 0) return TOO_BIG;
  const { sequence, flags } = header;
  const payloadBytes = length - headerBytes;
  const isIpv4 = slab.readUInt8(offset) >> 4 === 4;
  const tcpAt = upper - offset;
  slab.copy(out, 0, offset, offset + headerBytes);
  for (let done = 0, piece = 0; done < payloadBytes; piece++) {
    const bytes = Math.min(room, payloadBytes - done);
    const isLast = done + bytes === payloadBytes;
    slab.copy(out, headerBytes, offset + headerBytes + done, offset + headerBytes + done + bytes);
    const total = headerBytes + bytes;
    const without = (isLast ? 0 : LAST_ONLY) | (piece === 0 ? 0 : FIRST_ONLY);
    out.writeUInt32BE((sequence + done) >>> 0, tcpAt + SEQUENCE_OFFSET);
    out.writeUInt8(flags & ~without, tcpAt + TCP_FLAGS_OFFSET);
    if (isIpv4) finishIpv4(out, total, tcpAt, slab.readUInt16BE(offset + 4) + piece);
    else finishIpv6(out, total, tcpAt);
    sink(out, 0, total);
    done += bytes;
  }
  return KEEP;
}

function finishIpv4(out: Buffer, total: number, tcpAt: number, identification: number): void {
  out.writeUInt16BE(total, 2);
  out.writeUInt16BE(identification & 0xffff, 4);
  out.writeUInt16BE(0, 10);
  out.writeUInt16BE(internetChecksum(out, 0, tcpAt), 10);
  const [source, destination] = [out.readUInt32BE(12), out.readUInt32BE(16)];
  finishTcp(out, total, tcpAt, pseudoHeaderSum4(source, destination, IP_PROTOCOL.TCP, total - tcpAt));
}

function finishIpv6(out: Buffer, total: number, tcpAt: number): void {
  out.writeUInt16BE(total - IPV6_HEADER_BYTES, 4);
  finishTcp(out, total, tcpAt, pseudoHeaderSum6(out, IPV6_SOURCE_OFFSET, IP_PROTOCOL.TCP, total - tcpAt));
}

function finishTcp(out: Buffer, total: number, tcpAt: number, pseudoSum: number): void {
  out.writeUInt16BE(0, tcpAt + TCP_CHECKSUM_OFFSET);
  const sum = sumWords(out, tcpAt, total - tcpAt, pseudoSum);
  out.writeUInt16BE(foldChecksum(sum), tcpAt + TCP_CHECKSUM_OFFSET);
}
