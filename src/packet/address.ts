import ipaddr from 'ipaddr.js';
import { uint32 } from './bytes.ts';

/*
 * IP addresses as the fast path keeps them: four 32-bit host numbers, first word first. IPv4 a.b.c.d stands as
 * ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so one comparison serves both families; an IPv6 packet that shows such an
 * address is malformed (`parseIpv6`), so no two addresses are mistaken for each other. In a column of a vector packet i has
 * the words 4i .. 4i + 3; functions take the words and the index of the first one.
 */
export const ADDRESS_WORDS = 4;

/** Four words. */
export type IpAddress = Uint32Array;

const MAPPED = 0xffff;

export function newAddress(): IpAddress {
  return new Uint32Array(ADDRESS_WORDS);
}

/** The IPv4 address with this host number. */
export function ipv4Address(number: number): IpAddress {
  return Uint32Array.of(0, 0, MAPPED, number);
}

/** Network order, 4 or 16 bytes. */
export function addressOfBytes(bytes: Uint8Array): IpAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 4) return ipv4Address(view.getUint32(0));
  return Uint32Array.of(view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12));
}

/** Text to address; undefined if it is none. IPv4 in inet_pton form; IPv6 without zone, and not an IPv4-mapped one. */
export function parseAddress(text: string): IpAddress | undefined {
  const number = parseIpv4Address(text);
  if (number !== undefined) return ipv4Address(number);
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  const address = addressOfBytes(Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray()));
  return isIpv4(address) ? undefined : address;
}

/** Address to text: dotted, or as RFC 5952 wants it. */
export function formatAddress(words: Uint32Array, at = 0): string {
  if (isIpv4(words, at)) return formatIpv4Address(words[at + 3] as number);
  const parts = [0, 1, 2, 3].flatMap((word) => {
    const value = words[at + word] as number;
    return [value >>> 16, value & 0xffff];
  });
  return new ipaddr.IPv6(parts).toRFC5952String();
}

export function isIpv4(words: Uint32Array, at = 0): boolean {
  return words[at + 2] === MAPPED && words[at] === 0 && words[at + 1] === 0;
}

export function familyOf(words: Uint32Array, at = 0): 4 | 6 {
  return isIpv4(words, at) ? 4 : 6;
}

export function equalAddresses(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean {
  return (
    a[aAt + 3] === b[bAt + 3] && a[aAt + 2] === b[bAt + 2] && a[aAt + 1] === b[bAt + 1] && a[aAt] === b[bAt]
  );
}

/** True if `from <= address <= to`, in the order of the numbers. */
export function isWithin(
  words: Uint32Array,
  at: number,
  from: Uint32Array,
  fromAt: number,
  to: Uint32Array,
  toAt: number,
): boolean {
  return isAtLeast(words, at, from, fromAt) && isAtLeast(to, toAt, words, at);
}

/** In the order of the numbers. Comparing takes less than subtracting: a difference of two has more than 32 bits. */
function isAtLeast(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean {
  for (let word = 0; word < ADDRESS_WORDS; word++) {
    const mine = a[aAt + word] as number;
    const theirs = b[bAt + word] as number;
    if (mine !== theirs) return mine > theirs;
  }
  return true;
}

export function copyAddress(from: Uint32Array, fromAt: number, to: Uint32Array, toAt: number): void {
  to[toAt] = from[fromAt] as number;
  to[toAt + 1] = from[fromAt + 1] as number;
  to[toAt + 2] = from[fromAt + 2] as number;
  to[toAt + 3] = from[fromAt + 3] as number;
}

/** Sets an IPv4 address from its host number. */
export function setIpv4Address(words: Uint32Array, at: number, number: number): void {
  words[at] = 0;
  words[at + 1] = 0;
  words[at + 2] = MAPPED;
  words[at + 3] = number;
}

/** Reads 16 bytes, network order. */
export function readIpv6Address(slab: Buffer, offset: number, words: Uint32Array, at: number): void {
  words[at] = uint32(slab, offset);
  words[at + 1] = uint32(slab, offset + 4);
  words[at + 2] = uint32(slab, offset + 8);
  words[at + 3] = uint32(slab, offset + 12);
}

/** Writes 4 or 16 bytes, network order; returns how many. */
export function writeAddress(slab: Buffer, offset: number, words: Uint32Array, at = 0): number {
  if (isIpv4(words, at)) {
    slab.writeUInt32BE(words[at + 3] as number, offset);
    return 4;
  }
  for (let word = 0; word < ADDRESS_WORDS; word++)
    slab.writeUInt32BE(words[at + word] as number, offset + 4 * word);
  return 16;
}

/** One host's address: not unspecified, loopback, multicast, reserved or broadcast (RFC 6890), nor of one link only. */
export function isUnicastAddress(words: Uint32Array, at = 0): boolean {
  if (isIpv4(words, at)) return isUnicastIpv4Address(words[at + 3] as number);
  const first = words[at] as number;
  const isLowest = first === 0 && words[at + 1] === 0 && words[at + 2] === 0; // ::, ::1, and IPv4-compatible ones
  return !isLowest && first >>> 24 !== 0xff && first >>> 22 !== 0xfe80 >>> 6;
}

/** Text to number: exactly four decimal parts without leading zeros (inet_pton form); undefined if not. */
export function parseIpv4Address(text: string): number | undefined {
  if (!/^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(text)) return undefined;
  let address = 0;
  for (const part of text.split('.')) {
    const byte = Number(part);
    if (byte > 255) return undefined;
    address = address * 256 + byte;
  }
  return address;
}

/** Number to text. */
export function formatIpv4Address(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** As `isUnicastAddress`, of an IPv4 host number. */
export function isUnicastIpv4Address(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
