import type { DescribePacket } from './packet-tap.ts';
import { ADDRESS_WORDS } from '../packet/address.ts';
import type { SendingSa } from './sending-sa.ts';
import type { PacketVector } from './vector.ts';

/** Of a packet that comes from a peer: as its outer and inner columns say. */
export const ofArrival: DescribePacket = (vector, i) => ({
  spi: vector.spi[i] as number,
  peer: column(vector.outerSource, i),
  dvipa: column(vector.innerDestination, i),
});

function column(words: Uint32Array, i: number): Uint32Array {
  return words.subarray(i * ADDRESS_WORDS, (i + 1) * ADDRESS_WORDS);
}

/** Of a packet of this host's kernel; `entryOf`: its SA, once it has one. */
export function ofDeparture(
  entryOf: (vector: PacketVector, i: number) => Pick<SendingSa, 'sa' | 'outer'> | undefined,
): DescribePacket {
  return (vector, i) => {
    const entry = entryOf(vector, i);
    const dvipa = column(vector.innerSource, i);
    return { spi: entry?.sa.spi ?? 0, peer: entry?.outer.destination, dvipa };
  };
}
