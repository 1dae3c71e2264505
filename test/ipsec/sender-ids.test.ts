import { expect } from 'chai';
import * as fc from 'fast-check';
import { IvCounter, IvCounters } from '../../src/ipsec/sender-ids.ts';

const ivOf = (iv: IvCounter, counter: number) =>
  Buffer.from(Uint32Array.of(iv.high(counter), iv.low(counter)).buffer)
    .swap32()
    .toString('hex');

describe('IV counter', () => {
  it('makes sender id | counter, big endian (RFC 6054 section 3)', () => {
    const iv = new IvCounter(0x0102);
    expect(ivOf(iv, 1)).equal('0102000000000001');
    expect(ivOf(iv, 0x0a0b_0c0d_0e0f)).equal('01020a0b0c0d0e0f');
    expect(ivOf(new IvCounter(0xfffe), 2 ** 48 - 1)).equal('fffeffffffffffff');
  });

  it('starts at 1 and goes only up', () => {
    const iv = new IvCounter(1);
    expect([iv.take(1), iv.take(64), iv.take(1)]).deep.equal([1, 2, 66]);
  });

  it('stops at 2^48 - 1', () => {
    const iv = new IvCounter(1);
    expect(iv.take(2 ** 48 - 2)).equal(1);
    expect(iv.take(2)).equal(-1);
    expect(iv.take(1)).equal(2 ** 48 - 1);
    expect(iv.take(1)).equal(-1);
  });

  it('gives different IVs for different (sender id, counter)', () => {
    const pair = fc.tuple(fc.integer({ min: 0, max: 65_535 }), fc.integer({ min: 1, max: 2 ** 48 - 1 }));
    fc.assert(
      fc.property(pair, pair, (a, b) => {
        const same = a[0] === b[0] && a[1] === b[1];
        expect(ivOf(new IvCounter(a[0]), a[1]) === ivOf(new IvCounter(b[0]), b[1])).equal(same);
      }),
    );
  });
});

describe('IV counters of a target', () => {
  it('go on when an SA comes again with its sender id', () => {
    const ivs = new IvCounters();
    expect(ivs.get('sa', 3)?.take(5)).equal(1);
    expect(ivs.get('sa', 3)?.take(1)).equal(6);
    expect(ivs.get('other', 3)?.take(1)).equal(1);
  });

  it('start anew with a higher id, and refuse a lower one and that of the routing host', () => {
    const ivs = new IvCounters();
    ivs.get('sa', 3)?.take(5);
    expect(ivs.get('sa', 4)?.take(1)).equal(1);
    expect(ivs.get('sa', 3)).equal(undefined);
    expect(ivs.get('sa', 0)).equal(undefined);
    expect(ivs.get('sa', 4)?.take(1)).equal(2);
  });
});
