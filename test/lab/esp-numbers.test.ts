import { expect } from 'chai';
import { espNumbers, lostNumbers } from '../interop/support/esp-numbers.ts';

/** ESP in UDP to 192.0.2.101, at so many milliseconds. */
function packet(sequence: number, atMs: number, spi = 0xc0ffee01) {
  const bytes = Buffer.alloc(14 + 20 + 8 + 64);
  bytes.writeUInt16BE(0x0800, 12);
  bytes.writeUInt8(0x45, 14);
  bytes.writeUInt16BE(bytes.length - 14, 16);
  bytes.writeUInt8(17, 23);
  bytes.set([192, 0, 2, 10, 192, 0, 2, 101], 26);
  bytes.writeUInt16BE(4500, 34);
  bytes.writeUInt16BE(4500, 36);
  bytes.writeUInt32BE(spi, 42);
  bytes.writeUInt32BE(sequence, 46);
  return { atUs: atMs * 1000, bytes, originalLength: bytes.length };
}

const numbersOf = (...packets: ReturnType<typeof packet>[]) => espNumbers({ linkType: 1, packets });

describe('esp numbers of a capture', () => {
  it('tells how far a packet came behind the highest number before it', () => {
    const [sa] = numbersOf(packet(1, 0), packet(5, 1), packet(2, 2), packet(3, 3), packet(4, 4));
    expect(sa).to.include({ sa: '192.0.2.101 c0ffee01', destination: '192.0.2.101', packets: 5, skew: 3 });
    expect(sa?.gaps).to.deep.equal([]);
  });

  it('takes numbers that are missing behind a silence for burnt, and others for lost', () => {
    const [sa] = numbersOf(packet(7, 0), packet(8, 1), packet(10, 2), packet(74, 30), packet(75, 31));
    expect(sa?.gaps).to.deep.equal([
      { first: 9, count: 1, silenceMs: 1 },
      { first: 11, count: 63, silenceMs: 28 },
    ]);
    expect(lostNumbers(sa?.gaps ?? [])).to.deep.equal([{ first: 9, count: 1, silenceMs: 1 }]);
  });

  it('sees no silence where a number from before the hole came behind it', () => {
    const [sa] = numbersOf(packet(1, 0), packet(9, 40), packet(2, 41));
    expect(sa?.gaps).to.deep.equal([{ first: 3, count: 6, silenceMs: -1 }]);
    expect(lostNumbers(sa?.gaps ?? [])).to.have.length(1);
  });

  it('keeps SAs apart', () => {
    const sas = numbersOf(packet(1, 0), packet(1, 1, 0xc0ffee02), packet(2, 2));
    expect(sas.map(({ packets, gaps }) => [packets, gaps.length])).to.deep.equal([
      [2, 0],
      [1, 0],
    ]);
  });
});
