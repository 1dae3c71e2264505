import { KEEP } from '../base/verdict.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import { foldChecksum, pseudoHeaderSum, sumWords } from '../packet/checksum.ts';
import { Ipv6Chain, walkIpv6Chain } from '../packet/ipv6-chain.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import type { PacketVector } from './vector.ts';

const TCP_CHECKSUM_OFFSET = 16;
const UDP_CHECKSUM_OFFSET = 6;

const chain = new Ipv6Chain();

/**
 * Finishes the checksum of TCP and UDP in packet `i`, whose headers were read, where its sender has left that to a network card that
 * there is none of: on the same machine, or a virtual machine's. Such a field holds the sum of the pseudo header and nothing else
 * (Linux, CHECKSUM_PARTIAL). A wrong checksum stays wrong. True: it was unfinished, and is right now.
 */
export function finishChecksum(vector: PacketVector, i: number): boolean {
  const protocol = vector.protocol[i] as number;
  const isTcp = protocol === IP_PROTOCOL.TCP;
  if (!isTcp && protocol !== IP_PROTOCOL.UDP) return false;
  const { slab } = vector;
  const upper = upperAt(vector, i);
  const upperBytes = (vector.offset[i] as number) + (vector.length[i] as number) - upper;
  const field = upper + (isTcp ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET);
  if (upper < 0 || upperBytes < field + 2 - upper) return false;
  const words = i * ADDRESS_WORDS;
  const { innerSource, innerDestination } = vector;
  const pseudo = pseudoHeaderSum(innerSource, words, innerDestination, words, protocol, upperBytes);
  const found = slab.readUInt16BE(field);
  if (found !== (~foldChecksum(pseudo) & 0xffff)) return false;
  const sum = foldChecksum(sumWords(slab, upper, upperBytes, pseudo));
  if (sum === 0) return true; // it was right all the same
  // The field stood in the sum: without it, what is left is the checksum.
  const finished = foldChecksum(sumWords(slab, upper, upperBytes, pseudo) - found);
  slab.writeUInt16BE(finished === 0 && !isTcp ? 0xffff : finished, field);
  return true;
}

/** Where the transport header of packet `i` stands in the slab; -1: nowhere. */
export function upperAt(vector: PacketVector, i: number): number {
  const { slab } = vector;
  const offset = vector.offset[i] as number;
  if (vector.family[i] !== 6) return offset + (slab.readUInt8(offset) & 15) * 4;
  return walkIpv6Chain(slab, offset, vector.length[i] as number, chain) === KEEP
    ? offset + chain.upperAt
    : -1;
}
