import { expect } from 'chai';
import * as fc from 'fast-check';
import { parseSocketRow } from '../../src/io/proc-net-sockets.ts';
import { formatAddress } from '../../src/packet/address.ts';

const ROW =
  '   1: 0A7100CB:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31337 1 0';

describe('proc-net-sockets fuzz', () => {
  it('gives a row whose fields are in range, or none, whatever the line', () => {
    const damaged = fc
      .tuple(fc.nat(ROW.length), fc.nat(12), fc.string({ maxLength: 12 }))
      .map(([at, gone, put]) => ROW.slice(0, at) + put + ROW.slice(at + gone));
    fc.assert(
      fc.property(fc.oneof(damaged, fc.string({ maxLength: 600 })), (line) => {
        const row = parseSocketRow(line);
        if (row === undefined) return;
        expect(row.port).to.be.within(0, 0xffff);
        expect(row.state).to.be.within(0, 0xff);
        expect(row.address).to.have.lengthOf(4);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads every IPv4 address and port as printf("%08X:%04X") wrote it on a little-endian machine', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.nat(0xffff), (bytes, port) => {
        const word = [...bytes]
          .toReversed()
          .map((byte) => byte.toString(16).padStart(2, '0'))
          .join('');
        const local = `${word}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
        const row = parseSocketRow(ROW.replace('0A7100CB:1F90', local));
        expect(row && formatAddress(row.address)).to.equal(bytes.join('.'));
        expect(row?.port).to.equal(port);
      }),
    );
  });
});
