import { createDecipheriv } from 'node:crypto';
import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { DROP_REASONS } from '../../src/base/verdict.ts';
import { LINK_HEADER_BYTES, LINK_TAG_BYTES } from '../../src/ipsec/link-cipher.ts';
import { LINK_KIND, LinkOpener, LinkSealer } from '../../src/ipsec/link-seal.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { describeEach } from '../support/packet-cryptos.ts';
import { LINK_CIPHERS, LinkHeader, openOne, sealOne } from '../support/link-seal.ts';
import { fromHex } from '../support/vectors.ts';

const KEY = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const EPOCH = 7;
const INNER = Buffer.from('4500001c the inner packet');
const linkKey = (keyId = 0x01020304, key = KEY) => ({ keyId, key: KeyMaterial.copyOf(fromHex(key)) });

const header = new LinkHeader();
header.kind = LINK_KIND.FUNNEL;
header.flags = 0x80;
header.group = 0xc0ffee01;

function seal(sealer: LinkSealer, epoch = EPOCH, from = header, inner = INNER): Buffer {
  const batch = new TestBatch([inner]);
  expect(sealOne(sealer, batch, 0, from, epoch)).to.equal(0);
  return batch.packet();
}

function open(opener: LinkOpener, sealed: Buffer, epoch = EPOCH) {
  const batch = new TestBatch([sealed]);
  const out = new LinkHeader();
  const reason = DROP_REASONS[openOne(opener, batch, 0, epoch, out)];
  return { reason, out, batch };
}

describeEach(LINK_CIPHERS, (newCipher) => {
  describe('link-seal', () => {
    let sealer: LinkSealer;
    let opener: LinkOpener;
    beforeEach(() => {
      sealer = new LinkSealer(newCipher(linkKey()));
      opener = new LinkOpener();
      opener.install(newCipher(linkKey()));
    });

    it('carries kind, flags, SA group and the inner packet, and nothing in clear', () => {
      const sealed = seal(sealer);
      expect(sealed.length).to.equal(LINK_HEADER_BYTES + INNER.length + LINK_TAG_BYTES);
      expect(sealed.includes(INNER.subarray(0, 8))).to.equal(false);
      const { reason, out, batch } = open(opener, sealed);
      expect(reason).to.equal('none');
      expect(out).to.deep.equal(header);
      expect(batch.packet()).to.deep.equal(INNER);
    });

    it('has the layout of the document: key id, counter, AES-256-GCM with both as nonce and the epoch authenticated', () => {
      const sealed = seal(sealer);
      expect(sealed.subarray(0, 12).toString('hex')).to.equal('010203040000000000000001');
      const decipher = createDecipheriv('aes-256-gcm', fromHex(KEY), sealed.subarray(0, 12));
      decipher.setAAD(Buffer.concat([fromHex('00000007'), sealed.subarray(0, 12)]));
      decipher.setAuthTag(sealed.subarray(-16));
      const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      expect(plain.subarray(0, 8).toString('hex')).to.equal('01800000c0ffee01');
      expect(plain.subarray(8)).to.deep.equal(INNER);
    });

    it('never uses a counter twice and reports the last one', () => {
      const seen = new Set<string>();
      expect(sealer.lastCounter).to.equal(0n);
      for (let k = 0; k < 100; k++) seen.add(seal(sealer).subarray(4, 12).toString('hex'));
      expect(seen.size).to.equal(100);
      expect(sealer.lastCounter).to.equal(100n);
    });

    it('refuses every changed bit and leaves the slab as it was', () => {
      const sealed = seal(sealer);
      for (let at = 0; at < sealed.length; at++) {
        const forged = Buffer.from(sealed);
        forged.writeUInt8(forged.readUInt8(at) ^ (1 << (at % 8)), at);
        const { reason, batch } = open(opener, forged);
        expect(reason, `byte ${at}`).to.be.oneOf(['link-authentication', 'link-replay']);
        expect(batch.packet()).to.deep.equal(forged);
      }
      expect(open(opener, sealed).reason).to.equal('none'); // and forgeries moved no window
    });

    it('refuses another epoch, and another key of the same id', () => {
      expect(open(opener, seal(sealer), EPOCH + 1).reason).to.equal('link-authentication');
      const other = new LinkSealer(newCipher(linkKey(0x01020304, 'ff'.repeat(32))));
      expect(open(opener, seal(other)).reason).to.equal('link-authentication');
    });

    it('opens each packet once, in any order within 1024', () => {
      const sealed = Array.from({ length: 1100 }, () => seal(sealer));
      expect(open(opener, sealed[1050] as Buffer).reason).to.equal('none');
      expect(open(opener, sealed[27] as Buffer).reason).to.equal('none');
      expect(open(opener, sealed[26] as Buffer).reason).to.equal('link-replay');
      expect(open(opener, sealed[27] as Buffer).reason).to.equal('link-replay');
      expect(open(opener, sealed[1050] as Buffer).reason).to.equal('link-replay');
    });

    it('keeps an old and a new key apart', () => {
      opener.install(newCipher(linkKey(5, '05'.repeat(32))));
      const next = new LinkSealer(newCipher(linkKey(5, '05'.repeat(32))));
      expect(next.keyId).to.equal(5);
      expect(open(opener, seal(next)).reason).to.equal('none');
      expect(open(opener, seal(sealer)).reason).to.equal('none');
      opener.remove(5);
      expect(open(opener, seal(next)).reason).to.equal('link-authentication');
    });

    it('refuses to install a key id twice, since the window would forget', () => {
      expect(() => opener.install(newCipher(linkKey()))).to.throw('installed already');
    });

    it('refuses keys of a wrong size and ids that are none', () => {
      expect(() => new LinkSealer(newCipher(linkKey(1, '00'.repeat(16))))).to.throw('32 bytes');
      expect(() => new LinkSealer(newCipher(linkKey(2 ** 32)))).to.throw('uint32');
      expect(() => new LinkOpener().install(newCipher(linkKey(-1)))).to.throw('uint32');
    });

    it('says malformed to what is too short, and never reads past the slab', () => {
      const sealed = seal(sealer);
      for (let length = 0; length < LINK_HEADER_BYTES + LINK_TAG_BYTES; length++)
        expect(open(opener, sealed.subarray(0, length)).reason).to.equal('link-malformed');
      const batch = new TestBatch([sealed]);
      batch.length[0] = 1_000_000;
      expect(DROP_REASONS[openOne(opener, batch, 0, EPOCH)]).to.equal('link-malformed');
    });

    it('carries an empty inner packet', () => {
      const { reason, batch } = open(opener, seal(sealer, EPOCH, header, Buffer.alloc(0)));
      expect(reason).to.equal('none');
      expect(batch.length[0]).to.equal(0);
    });

    it('names a kind that it does not know', () => {
      const strange = Object.assign(new LinkHeader(), header, { kind: 9 });
      expect(open(opener, seal(sealer, EPOCH, strange)).reason).to.equal('link-unknown-kind');
    });

    it('says too-big without headroom or tailroom', () => {
      const batch = new TestBatch([INNER]);
      batch.offset[0] = 19;
      expect(DROP_REASONS[sealOne(sealer, batch, 0, header, EPOCH)]).to.equal('too-big');
      batch.offset[0] = batch.slab.length - INNER.length - 15;
      expect(DROP_REASONS[sealOne(sealer, batch, 0, header, EPOCH)]).to.equal('too-big');
      expect(sealer.lastCounter).to.equal(0n);
    });

    it('does nothing with a wiped key', () => {
      const [ours, theirs] = [linkKey(), linkKey()];
      const [wipedSealer, wipedOpener] = [new LinkSealer(newCipher(ours)), new LinkOpener()];
      wipedOpener.install(newCipher(theirs));
      ours.key.wipe();
      theirs.key.wipe();
      const batch = new TestBatch([INNER]);
      expect(DROP_REASONS[sealOne(wipedSealer, batch, 0, header, EPOCH)]).to.equal('link-authentication');
      expect(open(wipedOpener, seal(sealer)).reason).to.equal('link-authentication');
    });
  });
});
