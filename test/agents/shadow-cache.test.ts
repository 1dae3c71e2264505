import { expect } from 'chai';
import { ShadowCache } from '../../src/agents/target/shadow-cache.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { ReplayWindow } from '../../src/ipsec/replay-window.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { addr, DVIPA, ENDPOINT, OTHER_DVIPA } from '../support/inner-packets.ts';
import { policyFor, type SaTest, testSa } from '../support/test-sas.ts';
import { CRYPTOS } from '../support/packet-cryptos.ts';

const EPOCH = 3;
const CREDIT = { bytes: 1000, packets: 1000 };
const RECORD = {
  address: DVIPA,
  endpoints: [ENDPOINT],
  filterMode: 'bypass',
  rules: [],
  clearText: 'reject',
  returnVia: 'direct',
  router: '198.51.100.1',
} as const;

const cacheWith = () => {
  const cache = new ShadowCache([DVIPA], { outside: 1500, cluster: 1500 }, CRYPTOS);
  cache.setDvipa(RECORD);
  return cache;
};
const into = (given: Partial<SaTest> = {}) => testSa({ spi: 0xc000_0001, ...given });
const out = (given: Partial<SaTest> = {}) => testSa({ spi: 0xc100_0002, direction: 'out', ...given });
const windowUpTo = (top: number) => {
  const window = new ReplayWindow(64);
  for (let number = 1; number <= top; number++) window.commit(0, number);
  return window.snapshot();
};

describe('shadow-cache', () => {
  it('serves only DVIPAs that this host is configured for', () => {
    const cache = cacheWith();
    expect(cache.setDvipa({ ...RECORD, address: OTHER_DVIPA })).to.equal(false);
    expect(cache.addresses.dvipas.toJSON()).to.deep.equal([DVIPA]);
    expect(cache.addresses.endpoints.toJSON()).to.deep.equal([ENDPOINT]);
  });

  const refused: readonly [string, SecurityAssociation][] = [
    ['a DVIPA that was not given', into({ dvipa: OTHER_DVIPA })],
    ['an algorithm that nobody knows', { ...into(), encryption: { ...into().encryption, transform: 4711 } }],
    [
      'outer addresses of two families',
      { ...into(), outer: { ...into().outer, destination: '2001:db8::1' } },
    ],
  ];
  for (const [what, sa] of refused) {
    it(`refuses ${what}: nothing is installed, and the keys are wiped`, () => {
      const cache = cacheWith();
      expect(cache.install({ sa, credit: CREDIT }, EPOCH)).to.be.a('string');
      expect([cache.inbound.size, cache.outbound.size]).to.deep.equal([0, 0]);
      expect(sa.encryption.key.isWiped).to.equal(true);
    });
  }

  it('starts an inbound SA with the window that the routing host sent', () => {
    const cache = cacheWith();
    expect(cache.install({ sa: into(), credit: CREDIT, window: windowUpTo(10) }, EPOCH)).to.equal(undefined);
    const window = cache.inbound.get(into().id)?.window;
    expect([window?.check(0, 10), window?.check(0, 11)]).to.deep.equal([false, true]);
  });

  it('goes on counting when an SA comes again that was removed: its credit is not had twice', () => {
    const cache = cacheWith();
    for (const make of [into, out]) {
      const { id } = make();
      const meter = () => (cache.inbound.get(id) ?? cache.outbound.get(id))?.meter;
      cache.install({ sa: make(), credit: CREDIT, senderId: 1 }, EPOCH);
      meter()?.count(5, 500);
      cache.remove(id);
      cache.install({ sa: make(), credit: { bytes: 2000, packets: 1000 }, senderId: 1 }, EPOCH);
      expect(meter()).to.include({ packets: 5, bytes: 500 });
      expect(meter()?.credit).to.deep.equal({ bytes: 2000, packets: 1000 });
    }
  });

  it('keeps what it knows when an SA comes again: window, numbers, counter; the second copy of the keys is wiped', () => {
    const cache = cacheWith();
    cache.install({ sa: into(), credit: CREDIT, window: windowUpTo(3) }, EPOCH);
    cache.inbound.get(into().id)?.window.commit(0, 20);
    const again = into();
    cache.install({ sa: again, credit: CREDIT, window: windowUpTo(10) }, EPOCH);
    const window = cache.inbound.get(again.id)?.window;
    expect([3, 10, 11, 20, 21].map((number) => window?.check(0, number))).to.deep.equal([
      false,
      false,
      true,
      false,
      true,
    ]);
    expect(again.encryption.key.isWiped).to.equal(true);
    cache.install({ sa: out(), credit: CREDIT, senderId: 4 }, EPOCH);
    const iv = cache.outbound.get(out().id)?.iv;
    expect(iv?.take(5)).to.equal(1);
    cache.install({ sa: out(), credit: { bytes: 5000, packets: 5000 }, senderId: 4 }, EPOCH);
    expect(cache.outbound.get(out().id)?.iv?.take(1)).to.equal(6);
  });

  it('never starts a counter anew for a sender id that it had, though the SA was removed between', () => {
    const cache = cacheWith();
    cache.install({ sa: out(), credit: CREDIT, senderId: 4 }, EPOCH);
    cache.outbound.get(out().id)?.iv?.take(7);
    cache.remove(out().id);
    cache.install({ sa: out(), credit: CREDIT, senderId: 4 }, EPOCH);
    expect(cache.outbound.get(out().id)?.iv?.take(1)).to.equal(8);
    cache.install({ sa: out(), credit: CREDIT, senderId: 3 }, EPOCH);
    expect(cache.outbound.get(out().id)?.iv, 'an id of the past').to.equal(undefined);
  });

  it('seals nothing without a sender id, nor with 0, which is the routing host', () => {
    const cache = cacheWith();
    cache.install({ sa: out(), credit: CREDIT }, EPOCH);
    expect(cache.outbound.get(out().id)?.iv).to.equal(undefined);
    cache.install({ sa: out(), credit: CREDIT, senderId: 0 }, EPOCH);
    expect(cache.outbound.get(out().id)?.iv).to.equal(undefined);
  });

  it('wipes the keys of what it removes, and of everything on clear', () => {
    const cache = cacheWith();
    const [first, second] = [into(), out()];
    cache.install({ sa: first, credit: CREDIT }, EPOCH);
    cache.install({ sa: second, credit: CREDIT, senderId: 1 }, EPOCH);
    cache.outbound.installPolicy(policyFor(second));
    expect(cache.remove(second.id)?.sa).to.deep.equal(second);
    expect([first.encryption.key.isWiped, second.encryption.key.isWiped]).to.deep.equal([false, true]);
    cache.clear();
    expect(first.encryption.key.isWiped).to.equal(true);
    expect([cache.inbound.size, cache.outbound.size, cache.outbound.policies().length]).to.deep.equal([
      0, 0, 0,
    ]);
  });

  it('lets new settings of a DVIPA count for SAs that are there', () => {
    const cache = cacheWith();
    cache.install({ sa: into(), credit: CREDIT }, EPOCH);
    cache.setDvipa({ ...RECORD, rules: [{ action: 'deny', protocol: 'any', fromPort: 0, toPort: 65_535 }] });
    const filter = cache.inbound.get(into().id)?.dvipa.filter;
    expect(filter?.permits(6, addr('10.1.1.1'), 0, 40_000, 80, false)).to.equal(false);
  });

  it('goes on counting by rule when a DVIPA comes again with the same rules, and starts again with others', () => {
    const cache = cacheWith();
    const rules = [{ action: 'permit', protocol: 'tcp', fromPort: 80, toPort: 80 }] as const;
    const filterOf = () => [...cache.services][0]?.filter;
    cache.setDvipa({ ...RECORD, rules });
    const vector = new PacketVector(1);
    for (const port of [80, 81]) {
      vector.protocol[0] = 6;
      vector.destinationPort[0] = port;
      filterOf()?.verdict(vector, 0);
    }
    cache.setDvipa({ ...RECORD, filterMode: 'filter', rules: structuredClone(rules) });
    expect([0, 1].map((rule) => filterOf()?.countOf(rule).ipsec)).to.deep.equal([1, 1]);
    cache.setDvipa({ ...RECORD, rules: [{ ...rules[0], sourcePorts: { from: 1, to: 2 } }] });
    expect([0, 1].map((rule) => filterOf()?.countOf(rule).ipsec)).to.deep.equal([0, 0]);
  });
});
