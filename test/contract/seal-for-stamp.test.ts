import { expect } from 'chai';
import { KEEP, verdictOf } from '../../src/base/verdict.ts';
import { knownAlgorithms } from '../../src/ipsec/algorithms.ts';
import type { StampBatch, StampMasker } from '../../src/ipsec/packet-crypto.ts';
import { keysOf, TestBatch } from '../support/crypto-batch.ts';
import { describeEach, PACKET_CRYPTOS } from '../support/packet-cryptos.ts';
import { SETTING, StampingPair } from '../support/stamping.ts';

const INNER = Buffer.from('4500001c an inner packet of some length');
const IV = 0x0003_0000_0000_0001n;
/** Stamp header, ESP header, IV. */
const HEADROOM = 16 + 8 + 8;

function batchOf(iv = IV): TestBatch {
  const batch = new TestBatch([INNER]);
  batch.number(0, 0n, iv);
  return batch;
}

describeEach(PACKET_CRYPTOS, (create) => {
  let pair: StampingPair;
  beforeEach(() => {
    pair = new StampingPair(SETTING, create);
  });
  const sealed = (batch: TestBatch, masker: StampMasker | undefined = pair.sealer, target = pair.target) => {
    target.sealForStamp(batch, () => masker);
    return batch.reason();
  };
  /** Refused, and nothing was sealed. */
  const expectUntouched = (batch: TestBatch, reason: string, wanted: string) => {
    expect(reason).to.equal(wanted);
    expect(batch.packet()).to.deep.equal(INNER);
  };

  it('whatever number the batch says, and never in the way that sends number 0', () => {
    const [numbered, unnumbered] = [batchOf(), batchOf()];
    numbered.number(0, 77n, IV);
    sealed(numbered);
    sealed(unnumbered);
    expect(numbered.packet()).to.deep.equal(unnumbered.packet());
    const batch = batchOf();
    pair.target.seal(batch);
    expectUntouched(batch, batch.reason(), 'no-number');
  });

  it('leaves nothing that the peer would open', () => {
    const batch = batchOf();
    expect(sealed(batch)).to.equal('none');
    const esp = batch.packet().subarray(16);
    expect(pair.open(esp)).to.equal('icv');
  });

  it('not without a masker, nor with one of another ICV length, of wiped keys, or closed', () => {
    const unmasked = batchOf();
    pair.target.sealForStamp(unmasked, () => undefined);
    expectUntouched(unmasked, unmasked.reason(), 'no-number');
    const short = new StampingPair({ ...SETTING, icvBytes: 8 }, create);
    const other = batchOf();
    expectUntouched(other, sealed(other, short.sealer), 'no-number');
    const closed = pair.newSealer(SETTING.epoch);
    closed.close();
    const late = batchOf();
    expectUntouched(late, sealed(late, closed), 'no-number');
    pair.link.wipe();
    const wiped = batchOf();
    expectUntouched(wiped, sealed(wiped), 'no-number');
    expect(pair.sealer.mask(wiped, 0)).to.equal(verdictOf('no-number'));
  });

  it('not without an IV, nor on an SA that is not there', () => {
    const batch = batchOf(0n);
    expectUntouched(batch, sealed(batch), 'no-number');
    const strange = batchOf();
    strange.saSlot[0] = 5;
    expectUntouched(strange, sealed(strange), 'unknown-spi');
  });

  for (const { name, transform, canStamp, keyBytes, saltBytes, kind } of knownAlgorithms().encryption) {
    if (canStamp === true) continue;
    it(`not with ${name}`, () => {
      const target = create({ randomBytes: (bytes) => Buffer.alloc(bytes) });
      const encryptionKey = '00'.repeat((keyBytes[0] as number) + saltBytes);
      const isCombined = kind === 'aead' || kind === 'gmac';
      const integrity = isCombined ? {} : { integrity: 12, integrityKey: '00'.repeat(32) };
      target.install(0, keysOf({ spi: 0xc101, encryption: transform, encryptionKey, ...integrity }));
      for (const icvBytes of [8, 12, 16] as const) {
        const batch = batchOf();
        expectUntouched(batch, sealed(batch, { ...fakeMasker, icvBytes }, target), 'no-number');
      }
    });
  }
  const fakeMasker = { headerBytes: 16, icvBytes: 16, isUsable: true, mask: () => KEEP };

  it('says too-big without room for both headers, or for the ICV', () => {
    for (const [offset, reason] of [
      [HEADROOM - 1, 'too-big'],
      [HEADROOM, 'none'],
    ] as const) {
      const batch = batchOf();
      batch.slab.set(INNER, offset);
      batch.offset[0] = offset;
      expect(sealed(batch), `${offset}`).to.equal(reason);
    }
    const batch = batchOf();
    batch.offset[0] = batch.slab.length - INNER.length - 15;
    expect(sealed(batch)).to.equal('too-big');
  });

  it('wipes a sealed packet that could not be masked', () => {
    const batch = batchOf();
    const refusing = { ...fakeMasker, mask: () => verdictOf('too-big') };
    expect(sealed(batch, refusing)).to.equal('too-big');
    expect(batch.packet()).to.deep.equal(Buffer.alloc(batch.packet().length));
  });

  it('leaves nothing unmasked of a batch when masking breaks off', () => {
    const batch = new TestBatch([INNER, INNER, INNER]);
    for (let i = 0; i < 3; i++) batch.number(i, 0n, IV + BigInt(i));
    let calls = 0;
    const breaking = {
      ...fakeMasker,
      mask: (packets: StampBatch, i: number) => {
        if (++calls > 1) throw new Error('broken');
        return pair.sealer.mask(packets, i);
      },
    };
    expect(() => sealed(batch, breaking)).to.throw('broken');
    expect(pair.open(batch.packet(0).subarray(16))).to.equal('icv');
    for (const i of [1, 2]) expect(pair.open(batch.packet(i)), `${i}`).to.be.a('string');
  });

  it('passes over what has a verdict already', () => {
    const batch = batchOf();
    batch.verdict[0] = verdictOf('filter');
    expectUntouched(batch, sealed(batch), 'filter');
  });

  it('masks nothing that is longer than its check can say, or no ESP', () => {
    const batch = new TestBatch([Buffer.alloc(65_536 + 8 + 8 + 16)], 66_000);
    expect(pair.sealer.mask(batch, 0)).to.equal(verdictOf('too-big'));
    batch.length[0] = 8 + 8 + 16;
    expect(pair.sealer.mask(batch, 0)).to.equal(verdictOf('too-big'));
  });
});
