import { expect } from 'chai';
import { Bindings } from '../../src/io/bindings.ts';
import { NativeStamper } from '../../src/io/native-stamper.ts';
import { TestBatch } from '../support/crypto-batch.ts';

describe('arrays that the addon is told once', () => {
  it('are bound anew when the batch has others, and for each batch', () => {
    const bindings = new Bindings<object, string>();
    const [batch, array] = [{}, new Uint8Array(1)];
    expect(bindings.known(batch, array)).to.equal(undefined);
    expect(bindings.keep(batch, array, 'first')).to.equal('first');
    expect(bindings.known(batch, array)).to.equal('first');
    expect(bindings.known(batch, new Uint8Array(1))).to.equal(undefined);
    expect(bindings.known({}, array)).to.equal(undefined);
    bindings.keep(batch, new Uint8Array(2), 'second');
    expect(bindings.known(batch, array)).to.equal(undefined);
  });

  it('are not left, whatever count a call names', () => {
    const batch = new TestBatch([Buffer.alloc(60), Buffer.alloc(60)]);
    const stamper = new NativeStamper();
    stamper.stamp(batch);
    for (const count of [3, 64, 2 ** 31, -1, 1.5]) {
      const longer = Object.assign(Object.create(batch) as TestBatch, { count });
      expect(() => stamper.stamp(longer), `${count}`).to.throw(
        TypeError,
        'more packets than the arrays have',
      );
    }
  });
});
