import { expect } from 'chai';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { type EspSuite, knownAlgorithms, supported } from '../../src/ipsec/algorithms.ts';
import {
  type EspShape,
  innerMss,
  innerMtu,
  ipHeaderBytes,
  largestInnerBytes,
  PathMtu,
} from '../../src/ipsec/path-mtu.ts';
import { keysOf, TestBatch } from '../support/crypto-batch.ts';

const MINUTE = 60_000;

describe('path-mtu', () => {
  it('starts at the link, goes down with messages, never up', () => {
    const path = new PathMtu(4, 1500);
    expect(path.current(0)).to.equal(1500);
    expect(path.lower(1400, 1500, 0)).to.equal(true);
    expect(path.current(1)).to.equal(1400);
    for (const mtu of [1400, 1450, 1500, 9000, 65_535]) expect(path.lower(mtu, 1500, 2)).to.equal(false);
    expect(path.lower(1300, 1400, 3)).to.equal(true);
    expect(path.current(4)).to.equal(1300);
  });

  it('forgets after ten minutes without a lower one (RFC 1191 section 6.3)', () => {
    const path = new PathMtu(6, 1500);
    path.lower(1400, 1500, 0);
    path.lower(1300, 1400, 5 * MINUTE);
    path.lower(1300, 1400, 9 * MINUTE); // says nothing new
    expect(path.current(15 * MINUTE - 1)).to.equal(1300);
    expect(path.current(15 * MINUTE)).to.equal(1500);
    expect(path.lower(1400, 1500, 16 * MINUTE)).to.equal(true);
  });

  it('goes no lower than 552 for IPv4, and takes no message below 1280 for IPv6 (RFC 8201 section 4)', () => {
    const four = new PathMtu(4, 1500);
    expect(four.lower(68, 1500, 0)).to.equal(true);
    expect(four.current(0)).to.equal(552);
    const six = new PathMtu(6, 1500);
    for (const mtu of [0, 68, 1279]) expect(six.lower(mtu, 1500, 0)).to.equal(false);
    expect(six.current(0)).to.equal(1500);
    expect(six.lower(1280, 1500, 0)).to.equal(true);
  });

  it('a link below the floor stays what it is', () => {
    const path = new PathMtu(4, 500);
    expect(path.lower(400, 500, 0)).to.equal(false);
    expect(path.current(0)).to.equal(500);
  });

  it('a router that tells no MTU means the next plateau below what it quotes (RFC 1191 section 7.1)', () => {
    const path = new PathMtu(4, 9000);
    const seen = [9000, 8166, 4352, 2002, 1492, 1006].map((quoted) => {
      path.lower(0, quoted, 0);
      return path.current(0);
    });
    expect(seen).to.deep.equal([8166, 4352, 2002, 1492, 1006, 552]);
    expect(new PathMtu(4, 9000).lower(0, 0, 0)).to.equal(true); // whatever it quotes, the floor holds
  });
});

const suites: EspSuite[] = knownAlgorithms().encryption.flatMap((encryption) => {
  const encr = {
    transform: encryption.transform,
    keyMaterialBytes: (encryption.keyBytes[0] as number) + encryption.saltBytes,
  };
  const choices =
    encryption.icvBytes > 0
      ? [undefined]
      : knownAlgorithms().integrity.map(({ transform, keyBytes }) => ({
          transform,
          keyMaterialBytes: keyBytes,
        }));
  return choices.map((integ) => {
    const support = supported(encr, integ);
    if (!support.isSupported) throw new Error(support.reason);
    return support.suite;
  });
});
const nameOf = ({ encryption, integrity }: EspSuite) =>
  integrity === undefined ? encryption.name : `${encryption.name} and ${integrity.name}`;

/** Length of the outer packet around an inner one of this length, sealed for real. */
function outerBytes(shape: EspShape, crypto: EspNodeCrypto, innerBytes: number): number {
  const header = ipHeaderBytes(shape.outerFamily);
  const plain = shape.mode === 'tunnel' ? innerBytes : innerBytes - header;
  const batch = new TestBatch([Buffer.alloc(plain)]);
  batch.number(0, 1n, 1n);
  batch.nextHeader[0] = 4;
  crypto.seal(batch);
  expect(batch.reason()).to.equal('none');
  return header + (shape.hasUdpEncapsulation ? 8 : 0) + (batch.length[0] as number);
}

describe('the largest inner packet', () => {
  for (const suite of suites) {
    it(`fits exactly, and one byte more does not: ${nameOf(suite)}`, () => {
      const crypto = new EspNodeCrypto({ randomBytes: (bytes) => Buffer.alloc(bytes, 7) });
      crypto.install(
        0,
        keysOf({
          spi: 0xc0ffee01,
          encryption: suite.encryption.transform,
          encryptionKey: '11'.repeat(suite.keyBytes + suite.encryption.saltBytes),
          ...(suite.integrity !== undefined && {
            integrity: suite.integrity.transform,
            integrityKey: '22'.repeat(suite.integrity.keyBytes),
          }),
        }),
      );
      for (const mode of ['tunnel', 'transport'] as const)
        for (const outerFamily of [4, 6] as const)
          for (const hasUdpEncapsulation of [true, false]) {
            const shape = { suite, mode, outerFamily, hasUdpEncapsulation };
            for (let mtu = 1268; mtu <= 1284; mtu++) {
              const largest = largestInnerBytes(shape, mtu);
              expect(outerBytes(shape, crypto, largest)).to.be.at.most(mtu);
              expect(outerBytes(shape, crypto, largest + 1)).to.be.above(mtu);
            }
          }
    });
  }

  const gcm = suites.find(({ encryption }) => encryption.name === 'AES-GCM-16') as EspSuite;
  const shape = (fields: Partial<EspShape>): EspShape => ({
    suite: gcm,
    mode: 'tunnel',
    outerFamily: 4,
    hasUdpEncapsulation: true,
    ...fields,
  });

  it('is what one can work out by hand for AES-GCM-16', () => {
    // 1500 - 20 IPv4 - 8 UDP - 8 ESP - 8 IV - 16 ICV = 1440, which is a multiple of 4, less 2 of trailer
    expect(largestInnerBytes(shape({}), 1500)).to.equal(1438);
    expect(largestInnerBytes(shape({ hasUdpEncapsulation: false }), 1500)).to.equal(1446);
    expect(largestInnerBytes(shape({ outerFamily: 6 }), 1500)).to.equal(1418);
    expect(largestInnerBytes(shape({ mode: 'transport' }), 1500)).to.equal(1458);
    expect(largestInnerBytes(shape({ mode: 'transport' }), 1500, 24)).to.equal(1458); // four options more outside, as many less inside
    expect([innerMss(shape({}), 1500, 4), innerMss(shape({}), 1500, 6)]).to.deep.equal([1398, 1378]);
  });

  it('inner IPv6 is never told less than 1280, but its MSS follows what fits (RFC 8200 section 5)', () => {
    expect(innerMtu(shape({}), 1500, 6)).to.equal(1438);
    expect(innerMtu(shape({}), 1280, 6)).to.equal(1280);
    expect(innerMtu(shape({}), 1280, 4)).to.equal(1218);
    expect(innerMss(shape({}), 1280, 6)).to.equal(1158);
  });
});
