import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { aesCmac } from '../../src/ipsec/aes-cmac.ts';
import { ShortCmac } from '../../src/ipsec/short-cmac.ts';
import { StampMask } from '../../src/ipsec/stamp-mask.ts';
import { STAMP_VECTORS, xor } from '../support/stamping.ts';
import { fromHex, inSlab } from '../support/vectors.ts';

const CHECK = Buffer.from(Array.from({ length: 16 }, (_, i) => 0x40 + i));
const AT = 37;

describe('short-cmac', () => {
  it('is AES-CMAC of every message, of every length, one after another (RFC 4493)', () => {
    for (let bytes = 1; bytes <= 64; bytes++) {
      const tested = new ShortCmac(CHECK, bytes);
      for (let k = 0; k < 5; k++) {
        const message = Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 7 + k * 31) & 0xff));
        expect(tested.mac(message), `${bytes} bytes`).to.deep.equal(aesCmac('aes-128-cbc', CHECK, message));
      }
    }
  });

  it('takes messages of its length only', () => {
    expect(() => new ShortCmac(CHECK, 26).mac(Buffer.alloc(25))).to.throw('26 bytes');
  });

  it('does nothing any more once it is wiped', () => {
    const tested = new ShortCmac(CHECK, 26);
    tested.wipe();
    expect(() => tested.mac(Buffer.alloc(26))).to.throw();
  });
});

describe('stamp-mask', () => {
  const keys = (link: string) => ({
    link: KeyMaterial.copyOf(fromHex(link)),
    check: KeyMaterial.copyOf(CHECK),
  });

  for (const vector of STAMP_VECTORS) {
    const { setting } = vector;
    const { icvBytes, epoch } = setting;
    const head = Buffer.alloc(8);
    head.writeUInt32BE(setting.spi as number, 0);
    const packet = (icv: string) =>
      Buffer.concat([head, fromHex(vector.iv), fromHex(vector.cipher), fromHex(icv).subarray(0, icvBytes)]);
    const icvAt = packet(vector.tag0).length - icvBytes;

    it(`has the pad of ${vector.it}, and takes it off again`, () => {
      const block = Buffer.alloc(16);
      block.writeUInt32BE(epoch, 0);
      block.set([...head.subarray(0, 4), ...fromHex(vector.iv)], 4);
      const pad = createCipheriv('aes-128-ecb', fromHex(setting.link), null).update(block);
      expect(pad.toString('hex')).to.equal(vector.pad);
      expect(xor(fromHex(vector.masked), pad)).to.deep.equal(fromHex(vector.tag0).subarray(0, icvBytes));

      const mask = new StampMask(keys(setting.link), epoch, icvBytes);
      const slab = inSlab(packet(vector.tag0));
      for (const icv of [vector.masked, vector.tag0, vector.masked]) {
        mask.apply(slab, AT, AT + icvAt);
        expect(slab).to.deep.equal(inSlab(packet(icv)));
      }
    });

    it(`checks epoch, SPI, IV, length, masked ICV and hints of ${vector.it}`, () => {
      const mask = new StampMask(keys(setting.link), epoch, icvBytes);
      const message = Buffer.alloc(18 + icvBytes + 4);
      message.writeUInt32BE(epoch, 0);
      message.set([...head.subarray(0, 4), ...fromHex(vector.iv)], 4);
      message.writeUInt16BE(vector.cipher.length / 2, 16);
      message.set(fromHex(vector.masked), 18);
      message.set([1, 1, 0xb8, 64], 18 + icvBytes);
      const wanted = aesCmac('aes-128-cbc', CHECK, message);
      const slab = inSlab(packet(vector.masked));
      slab.set([1, 1, 0xb8, 64], AT - 16);
      for (let again = 0; again < 3; again++) {
        expect(mask.check(slab, AT, AT + icvAt)).to.deep.equal(wanted);
      }
    });
  }

  it('wants keys of 16 bytes, and is of no use once one is wiped', () => {
    const short = KeyMaterial.copyOf(Buffer.alloc(15));
    expect(() => new StampMask({ link: short, check: short }, 1, 16)).to.throw('16 bytes');
    for (const name of ['link', 'check'] as const) {
      const given = keys('0f'.repeat(16));
      const mask = new StampMask(given, 1, 16);
      expect(mask.isUsable).to.equal(true);
      given[name].wipe();
      expect(mask.isUsable).to.equal(false);
    }
  });

  it('works no more once it is closed', () => {
    const mask = new StampMask(keys('0f'.repeat(16)), 1, 16);
    mask.close();
    mask.close();
    expect(mask.isUsable).to.equal(false);
    expect(() => mask.apply(Buffer.alloc(64), 0, 32)).to.throw();
    expect(() => mask.check(Buffer.alloc(64), 16, 48)).to.throw();
  });
});
