import { expect } from 'chai';
import { KeyedHash, newConnectionKey } from '../../src/connections/connection-key.ts';
import { addr } from '../support/inner-packets.ts';

const SEED = Uint8Array.from({ length: 8 }, (_, i) => i);

describe('keyed hash of a connection', () => {
  it('is HalfSipHash-1-3 (Linux lib/tests/siphash_kunit.c, hsiphash, 32 bits, input of 20 bytes)', () => {
    const hash = new KeyedHash(SEED);
    expect(hash.words(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c, 0x13121110)).equal(0x911bb605);
  });

  it('depends on every field and on the seed', () => {
    const hash = new KeyedHash(SEED);
    const key = {
      ...newConnectionKey(),
      dvipa: addr('203.0.113.10'),
      source: addr('2001:db8::1'),
      sourcePort: 3,
      destinationPort: 4,
    };
    const seen = new Set([hash.hash(key), new KeyedHash(SEED.map((byte) => byte ^ 1)).hash(key)]);
    const fields = ['group', 'protocol', 'sourcePort', 'destinationPort'] as const;
    for (const field of fields) seen.add(hash.hash({ ...key, [field]: key[field] + 1 }));
    for (const field of ['dvipa', 'source'] as const) {
      for (const word of [0, 1, 2, 3]) {
        const other = key[field].map((value, at) => (at === word ? value ^ 1 : value));
        seen.add(hash.hash({ ...key, [field]: other }));
      }
    }
    expect(seen.size).equal(14);
  });

  it('depends on every field of a connection over IPv4 too, and on the last words of its addresses', () => {
    const hash = new KeyedHash(SEED);
    const addresses = { dvipa: addr('203.0.113.10'), source: addr('10.1.1.1') };
    const key = { ...newConnectionKey(), ...addresses, sourcePort: 3, destinationPort: 4 };
    const seen = new Set([hash.hash(key), new KeyedHash(SEED.map((byte) => byte ^ 1)).hash(key)]);
    const fields = ['group', 'protocol', 'sourcePort', 'destinationPort'] as const;
    for (const field of fields) seen.add(hash.hash({ ...key, [field]: key[field] + 1 }));
    seen.add(hash.hash({ ...key, dvipa: addr('203.0.113.11') }));
    seen.add(hash.hash({ ...key, source: addr('10.1.1.2') }));
    seen.add(hash.hash({ ...key, dvipa: key.source, source: key.dvipa }));
    seen.add(hash.hash({ ...key, source: addr('2001:db8::1') }));
    expect(seen.size).equal(10);
  });

  it('takes a seed of 8 bytes only', () => {
    expect(() => new KeyedHash(new Uint8Array(7))).throw(RangeError);
  });
});
