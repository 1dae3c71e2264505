import { expect } from 'chai';
import { DROP_REASONS, KEEP } from '../../src/base/verdict.ts';
import { classifyNatTraversal, EspHeader, encodeEsp, parseEsp } from '../../src/packet/esp-header.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const header = new EspHeader();

describe('esp-header', () => {
  it('reads and writes SPI and sequence number of the packet in RFC 3602 section 4, case 5', () => {
    const bytes = fromHex('00004321 00000001');
    expect(parseEsp(inSlab(bytes), 37, 8, header)).to.equal(KEEP);
    expect(header).to.deep.include({ spi: 0x4321, sequence: 1 });
    const slab = Buffer.alloc(8);
    expect(encodeEsp(slab, 0, 0x4321, 1)).to.equal(8);
    expect(slab).to.deep.equal(bytes);
  });

  it('refuses reserved SPIs (RFC 4303 section 2.1) and fewer than 8 bytes', () => {
    const reasonOf = (hex: string) => {
      const bytes = fromHex(hex);
      return DROP_REASONS[parseEsp(inSlab(bytes), 37, bytes.length, header)];
    };
    expect(reasonOf('000000ff 00000001')).to.equal('not-esp');
    expect(reasonOf('00000100 00000001')).to.equal('none');
    expect(reasonOf('00004321 000000')).to.equal('truncated');
    expect(reasonOf('')).to.equal('truncated');
  });

  it('tells ESP, IKE and keep-alives on port 4500 apart (RFC 3948 section 2)', () => {
    const kindOf = (hex: string) => {
      const bytes = fromHex(hex);
      return classifyNatTraversal(inSlab(bytes), 37, bytes.length);
    };
    expect(kindOf('c1a2b3c4 00000001 ff')).to.equal('esp');
    expect(kindOf('00000000 c1a2b3c4')).to.equal('ike');
    expect(kindOf('00000000')).to.equal('ike');
    expect(kindOf('ff')).to.equal('keepalive');
    expect(kindOf('fe')).to.equal('neither');
    expect(kindOf('')).to.equal('neither');
    expect(kindOf('ffffff')).to.equal('neither');
    expect(kindOf('c1a2b3c4 000000')).to.equal('neither');
  });
});
