import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { DROP_REASONS } from '../../src/base/verdict.ts';
import { knownAlgorithms } from '../../src/ipsec/algorithms.ts';
import { parseStampHeader, StampHeader } from '../../src/ipsec/stamp-packet.ts';
import { canStamp, Stamper } from '../../src/ipsec/stamper.ts';
import { keysOf, TestBatch } from '../support/crypto-batch.ts';
import { SETTING, STAMP_GROUP, StampingPair } from '../support/stamping.ts';

const INNER = Buffer.from('4500001c an inner packet of some length');
const IV = 0x0003_0000_0000_0001n;
/** Where the number and the ciphertext begin in the packet for the routing host. */
const AT = { sequence: 20, ciphertext: 32 };

const reasonOf = (verdict: number) => DROP_REASONS[verdict];

describe('stamper', () => {
  let pair: StampingPair;
  beforeEach(() => {
    pair = new StampingPair();
  });

  const changed = (packet: Buffer, at: number, mask = 0x10) => {
    const copy = Buffer.from(packet);
    copy[at] = (copy[at] as number) ^ mask;
    return copy;
  };

  it('finds group, SPI, sender id and counter in front, so that the SA can be looked up', () => {
    const out = new StampHeader();
    const packet = pair.seal(INNER, 0xfffe_ffff_ffff_fffdn);
    expect(parseStampHeader(packet, 0, packet.length, out)).to.equal(0);
    expect(out).to.deep.equal(
      Object.assign(new StampHeader(), {
        group: STAMP_GROUP,
        spi: 0xc101,
        senderId: 0xfffe,
        counter: 0xffff_ffff_fffd,
      }),
    );
  });

  it('refuses every changed bit outside of the ciphertext, and the peer refuses those inside', () => {
    const packet = pair.seal(INNER, IV);
    const icvAt = packet.length - 16;
    for (let bit = 0; bit < packet.length * 8; bit++) {
      const forged = changed(packet, bit >> 3, 0x80 >> (bit & 7));
      const isInside = bit >= AT.ciphertext * 8 && bit < icvAt * 8;
      const fresh = isInside ? new StampingPair() : pair;
      const reason = fresh.accept(forged);
      if (isInside) {
        expect(reason).to.equal('none');
        expect(fresh.open(fresh.stamp(forged, 5n) as Buffer), `bit ${bit}`).to.equal('icv');
        expect(fresh.accept(packet), 'its IV is used').to.equal('stamp-repeat');
      } else {
        expect(reason, `bit ${bit}`).to.be.oneOf(['stamp-malformed', 'stamp-check']);
      }
    }
    expect(pair.accept(packet), 'and what is refused marks nothing').to.equal('none');
  });

  it('refuses other lengths of a genuine packet', () => {
    const packet = pair.seal(INNER, IV);
    for (let length = 0; length < packet.length; length++) {
      expect(pair.accept(packet.subarray(0, length), 3), `${length}`).to.be.oneOf([
        'stamp-malformed',
        'stamp-check',
      ]);
    }
    expect(pair.accept(Buffer.concat([packet, Buffer.alloc(4)]))).to.equal('stamp-check');
    const batch = new TestBatch([packet]);
    batch.length[0] = 1_000_000;
    expect(reasonOf(pair.stamper.accept(batch, 0, SETTING.epoch, 3))).to.equal('stamp-malformed');
    expect(reasonOf(pair.stamper.stamp(batch, 0, 0, 1))).to.equal('stamp-malformed');
  });

  it('refuses a packet that has a number already, another version, sender 0 or counter 0', () => {
    const packet = pair.seal(INNER, IV);
    expect(pair.accept(changed(packet, AT.sequence + 3))).to.equal('stamp-malformed');
    expect(pair.accept(changed(packet, 0))).to.equal('stamp-malformed');
    expect(pair.accept(changed(packet, 1)), 'an unknown flag').to.equal('stamp-malformed');
    expect(pair.accept(pair.seal(INNER, 5n), 0)).to.equal('stamp-malformed');
    expect(pair.accept(pair.seal(INNER, 3n << 48n))).to.equal('stamp-malformed');
  });

  it('tells a repeat, and what is over 64 packets late', () => {
    const packets = Array.from({ length: 66 }, (_, i) => pair.seal(INNER, IV + BigInt(i)));
    expect(pair.accept(packets[64] as Buffer)).to.equal('none');
    expect(pair.accept(packets[64] as Buffer)).to.equal('stamp-repeat');
    expect(pair.accept(packets[0] as Buffer)).to.equal('stamp-repeat');
    expect(pair.accept(packets[1] as Buffer)).to.equal('none');
  });

  it('refuses a sender id that is not that of the target it came from', () => {
    const packet = pair.seal(INNER, IV);
    expect(pair.accept(packet, 4)).to.equal('stamp-sender');
    expect(pair.accept(packet, 0)).to.equal('stamp-sender');
    expect(pair.accept(packet, 3), 'and marks nothing').to.equal('none');
  });

  it('refuses the packets of another group of the same SPI and keys', () => {
    expect(pair.accept(pair.seal(INNER, IV, pair.newSealer(SETTING.epoch, 1)))).to.equal('stamp-check');
  });

  it('refuses the packets of an old epoch, and were the check missing, they come out as noise', () => {
    const old = pair.seal(INNER, IV);
    pair.stamper = pair.newStamper(SETTING.epoch + 1);
    expect(pair.accept(old)).to.equal('stamp-epoch');
    expect(pair.accept(old, 3, SETTING.epoch + 1)).to.equal('stamp-check');
    const noise = pair.stamp(old, 9n) as Buffer;
    expect(noise.subarray(0, -16)).to.deep.equal(pair.direct(INNER, IV, 9n).subarray(0, -16));
    expect(pair.open(noise)).to.equal('icv');
  });

  it('stamps no copy of a packet again, whatever its caller does', () => {
    const packet = pair.seal(INNER, IV);
    expect(pair.accept(packet)).to.equal('none');
    expect(pair.stamp(packet, 1n)).to.deep.equal(pair.direct(INNER, IV, 1n));
    expect(pair.stamp(packet, 2n)).to.equal('stamp-repeat');
    expect(pair.stamp(packet, 1n)).to.equal('stamp-repeat');
  });

  it('stamps neither with number 0 nor beyond 32 bits without ESN, and the packet is not spent by it', () => {
    const packet = pair.seal(INNER, IV);
    expect(pair.stamp(packet, 0n)).to.equal('no-number');
    expect(pair.stamp(packet, 1n << 32n)).to.equal('no-number');
    expect(pair.stamp(packet, 1n)).to.be.instanceOf(Buffer);
  });

  it('stamps no packet of another SA', () => {
    const other = new StampingPair({ ...SETTING, spi: 0xc102 });
    expect(pair.stamp(other.seal(INNER, IV), 1n)).to.equal('stamp-check');
    expect(pair.accept(other.seal(INNER, IV))).to.equal('stamp-check');
  });

  for (const key of ['link', 'check', 'encryption'] as const) {
    it(`does nothing any more once the key was wiped: ${key}`, () => {
      const packet = pair.seal(INNER, IV);
      (key === 'encryption' ? pair.sa.encryption.key : pair[key]).wipe();
      expect(pair.accept(packet)).to.equal('stamp-check');
      expect(pair.stamp(packet, 1n)).to.equal('stamp-check');
    });
  }

  it('is for AES-GCM only (RFC 4106), and its keys must fit', () => {
    const { encryption } = knownAlgorithms();
    const can = encryption.filter(({ transform }) => canStamp({ encryption: { transform } }));
    expect(can.map(({ transform }) => transform)).to.deep.equal([18, 19, 20]);
    expect(canStamp({ encryption: { transform: 999 } })).to.equal(false);
    const { link, check } = pair;
    const stamperOf = (transform: number, encryptionKey: string) => {
      const sa = { ...keysOf({ spi: 1, encryption: transform, encryptionKey }), group: 1 };
      return new Stamper({ epoch: 1, sa, link, check });
    };
    expect(() => stamperOf(28, '00'.repeat(36))).to.throw('cannot be stamped');
    expect(() => stamperOf(20, '00'.repeat(19))).to.throw('no key of 19 bytes');
    const short = KeyMaterial.copyOf(Buffer.alloc(8));
    expect(() => new Stamper({ epoch: 1, sa: pair.sa, link, check: short })).to.throw('16 bytes');
  });

  it('does nothing any more once it is closed', () => {
    const packet = pair.seal(INNER, IV);
    pair.stamper.close();
    expect(pair.accept(packet)).to.equal('stamp-check');
    expect(pair.stamp(packet, 1n)).to.equal('stamp-check');
    pair.stamper.close();
  });
});
