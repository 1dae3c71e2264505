import { expect } from 'chai';
import { espIn, findEspRepeats } from '../../src/lab/esp-repeats.ts';
import type { PcapFile } from '../../src/lab/pcap.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

/** A frame with ESP in UDP from 192.0.2.10 to 192.0.2.101. */
function frame(spi: number, sequence: number, iv: bigint, options: { bare?: boolean; to?: number } = {}) {
  const esp = Buffer.alloc(64);
  esp.writeUInt32BE(spi, 0);
  esp.writeUInt32BE(sequence, 4);
  esp.writeBigUInt64BE(iv, 8);
  const udp = hex('1194 1194 0048 0000');
  const data = options.bare === true ? esp : Buffer.concat([udp, esp]);
  const ip = hex('4500 0000 0000 4000 40 11 0000 c000020a c0000265');
  ip.writeUInt16BE(20 + data.length, 2);
  if (options.bare === true) ip[9] = 50;
  if (options.to !== undefined) ip[19] = options.to;
  return Buffer.concat([hex('020000000001 020000000002 0800'), ip, data]);
}

function capture(...frames: Buffer[]): PcapFile {
  return { linkType: 1, packets: frames.map((bytes) => ({ atUs: 0, bytes, originalLength: bytes.length })) };
}

describe('esp repeats', () => {
  it('finds SPI, number and IV of ESP in UDP and of bare ESP', () => {
    const expected = {
      source: '192.0.2.10',
      destination: '192.0.2.101',
      spi: 0xc0ffee01,
      sequence: 7,
      iv: 0x0001_0000_0000_0007n,
    };
    for (const bare of [false, true]) {
      expect(espIn(frame(0xc0ffee01, 7, 0x0001_0000_0000_0007n, { bare }))).to.deep.equal(expected);
    }
  });

  it('takes IKE, keep-alives, ARP and fragments of nothing for no ESP', () => {
    const ike = frame(0, 0, 0n);
    const arp = hex('ffffffffffff 020000000002 0806 0001080006040001');
    expect([ike, arp, Buffer.alloc(3)].map(espIn)).to.deep.equal([undefined, undefined, undefined]);
    expect(espIn(frame(0xc0ffee01, 1, 1n).subarray(0, 50))).to.equal(undefined);
  });

  it('is content when every number and IV of an SA occurs once, whatever other SAs use', () => {
    const use = findEspRepeats(
      capture(
        frame(0xa0000001, 1, 1n),
        frame(0xa0000001, 2, 2n),
        frame(0xa0000002, 1, 1n),
        frame(0xa0000001, 1, 1n, { to: 102 }),
      ),
    );
    expect(use.packets).to.equal(4);
    expect([...use.perSa]).to.deep.equal([
      ['192.0.2.101 a0000001', 2],
      ['192.0.2.101 a0000002', 1],
      ['192.0.2.102 a0000001', 1],
    ]);
    expect(use.repeats).to.deep.equal([]);
  });

  it('names a number that was used twice, and an IV that was, with the packets', () => {
    const { repeats } = findEspRepeats(
      capture(
        frame(0xa0000001, 1, 1n),
        frame(0xa0000001, 2, 2n),
        frame(0xa0000001, 2, 3n),
        frame(0xa0000001, 4, 1n),
      ),
    );
    expect(repeats.map(({ of, sequence, iv, packets }) => ({ of, sequence, iv, packets }))).to.deep.equal([
      { of: 'sequence', sequence: 2, iv: 3n, packets: [1, 2] },
      { of: 'iv', sequence: 4, iv: 1n, packets: [0, 3] },
    ]);
  });

  it('leaves out what the caller does not ask about', () => {
    const twice = capture(frame(0xa0000001, 1, 1n), frame(0xa0000001, 1, 1n));
    expect(findEspRepeats(twice, ({ source }) => source === '192.0.2.101')).to.deep.include({
      packets: 0,
      repeats: [],
    });
  });
});
