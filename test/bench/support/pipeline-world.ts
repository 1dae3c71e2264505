import type { SecurityAssociation } from '../../../src/ipsec/sa.ts';
import { ADDRESS_WORDS } from '../../../src/packet/address.ts';
import type { PacketVector } from '../../../src/dataplane/vector.ts';
import { addr, DVIPA } from '../../support/inner-packets.ts';
import { testSa } from '../../support/test-sas.ts';

/** ESP payload behind SPI, number and IV; 16 bytes of ICV, 2 of trailer and as many of padding as make 1440 inside. */
export const ESP_OVERHEAD_BYTES = 8 + 8 + 2 + 16;
export const FIRST_SPI = 0xc000_0000;

/** SA number `n` of a world: a client of its own, and an SA group of its own. */
export function saNumber(n: number, direction: 'in' | 'out' = 'in'): SecurityAssociation {
  const sa = testSa({
    spi: FIRST_SPI + (direction === 'in' ? n : n + 0x1000_0000),
    direction,
    group: n + 1,
    reqid: n + 1,
    client: textOf(172, 16, n),
    clientInner: textOf(10, 0, n),
  });
  return { ...sa, id: `00c0ffee00c0ffee:${direction}${n}` as SecurityAssociation['id'] };
}

function textOf(first: number, second: number, n: number): string {
  return `${first}.${second + (n >>> 16)}.${(n >>> 8) & 255}.${n & 255}`;
}

/** Host numbers of SA `n`'s client, outside and inside. */
export const outerOf = (n: number) => 0xac10_0000 + n;
export const innerOf = (n: number) => (10 << 24) + n;

/** Connection number `c` of a world of `sas` SAs. */
export const saOf = (c: number, sas: number) => c % sas;
export const portOf = (c: number, sas: number) => 1024 + Math.floor(c / sas);

/** The same order each time, and none that a cache knows. */
export class Shuffle {
  #state = 0x1234_5678;

  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 0x1_0000_0000) * n);
  }
}

const dvipaNumber = addr(DVIPA)[ADDRESS_WORDS - 1] as number;

/** An inner segment of TCP, without data that anybody looks at. */
export function writeInner(
  slab: Buffer,
  at: number,
  c: number,
  sas: number,
  bytes: number,
  isOut = false,
): void {
  const [peer, port] = [innerOf(saOf(c, sas)), portOf(c, sas)];
  slab.writeUInt32BE(0x4500_0000 | bytes, at);
  slab.writeUInt32BE(0x0000_4000, at + 4);
  slab.writeUInt32BE(0x4006_0000, at + 8);
  slab.writeUInt32BE(isOut ? dvipaNumber : peer, at + 12);
  slab.writeUInt32BE(isOut ? peer : dvipaNumber, at + 16);
  slab.writeUInt16BE(isOut ? 80 : port, at + 20);
  slab.writeUInt16BE(isOut ? port : 80, at + 22);
  slab.writeUInt16BE(0x5010, at + 32);
}

/** Fills slot `i` with a datagram of ESP in UDP in which the inner packet stands in clear. */
export function writeDatagram(
  vector: PacketVector,
  i: number,
  c: number,
  sas: number,
  sequence: number,
  endpoint: number,
  innerBytes: number,
): void {
  const { slab } = vector;
  const at = vector.offset[i] as number;
  const espBytes = innerBytes + ESP_OVERHEAD_BYTES;
  const total = 28 + espBytes;
  const sa = saOf(c, sas);
  slab.writeUInt32BE(0x4500_0000 | total, at);
  slab.writeUInt32BE(0, at + 4);
  slab.writeUInt32BE(0x4011_0000, at + 8);
  slab.writeUInt32BE(outerOf(sa), at + 12);
  slab.writeUInt32BE(endpoint, at + 16);
  slab.writeUInt32BE(0x1194_1194, at + 20);
  slab.writeUInt32BE((8 + espBytes) << 16, at + 24);
  slab.writeUInt32BE(FIRST_SPI + sa, at + 28);
  slab.writeUInt32BE(sequence, at + 32);
  writeInner(slab, at + 44, c, sas, innerBytes);
  slab.writeUInt16BE(0x0004, at + total - 18);
  vector.length[i] = total;
}
