import { expect } from 'chai';
import * as fc from 'fast-check';
import { formatAddress, ipv4Address } from '../../src/packet/address.ts';
import { AddressMap, AddressSet } from '../../src/packet/address-map.ts';
import { addr } from '../support/inner-packets.ts';

const step = fc.record({
  kind: fc.constantFrom('set' as const, 'set' as const, 'delete' as const),
  host: fc.integer({ min: 1, max: 40 }),
  value: fc.nat(),
});

describe('map of addresses', () => {
  it('is what a Map with text for keys is, in its order too', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const [map, plain] = [new AddressMap<number>(), new Map<string, number>()];
        for (const { kind, host, value } of steps) {
          const address = ipv4Address(host);
          if (kind === 'set') {
            map.set(address, value);
            plain.set(formatAddress(address), value);
          } else expect(map.delete(address)).to.equal(plain.delete(formatAddress(address)));
        }
        const entries = [...map.keys()].map((key) => [formatAddress(key), map.get(key)]);
        expect(entries).to.deep.equal([...plain]);
        expect([...map.values()]).to.deep.equal([...plain.values()]);
        expect(map.size).to.equal(plain.size);
        for (const { host } of steps)
          expect(map.get(ipv4Address(host))).to.equal(plain.get(formatAddress(ipv4Address(host))));
      }),
    );
  });

  it('tells addresses apart that differ in any word', () => {
    const set = new AddressSet([addr('2001:db8::1')]);
    for (const other of ['2001:db9::1', '2001:db8:0:1::1', '2001:db8::1:0:1', '2001:db8::2', '0.0.0.1'])
      expect(set.has(addr(other)), other).to.equal(false);
    expect(set.has(Uint32Array.of(9, ...addr('2001:db8::1')), 1)).to.equal(true);
    set.clear();
    expect(set.has(addr('2001:db8::1'))).to.equal(false);
  });
});
