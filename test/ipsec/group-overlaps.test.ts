import { expect } from 'chai';
import * as fc from 'fast-check';
import { GroupOverlaps } from '../../src/ipsec/group-overlaps.ts';
import type { SaId, SecurityAssociation } from '../../src/ipsec/sa.ts';
import { type TrafficSelector, trafficSelectorOf } from '../../src/ipsec/traffic-selector.ts';
import { OTHER_DVIPA } from '../support/inner-packets.ts';
import { type SaTest, testSa } from '../support/test-sas.ts';

const HERE = '192.0.2.101';
const THERE = '192.0.2.102';
const ascending = (a: number, b: number) => a - b;
const NOBODY: readonly number[] = [];

interface Given extends Omit<SaTest, 'spi'> {
  readonly spi?: number;
  readonly theirs?: readonly TrafficSelector[];
  readonly port?: number;
}

const range = (from: string, to = from, rest = {}) =>
  trafficSelectorOf({ from, to, ...rest }) as TrafficSelector;

/** An inbound SA with the peer's selectors as given. */
function saOf(given: Given): SecurityAssociation {
  const sa = testSa({ spi: 0x1000 + (given.group ?? 1), client: HERE, ...given });
  const outer = { ...sa.outer, ...(given.port !== undefined && { sourcePort: given.port }) };
  return { ...sa, outer, ...(given.theirs !== undefined && { sourceSelectors: given.theirs }) };
}

describe('SA groups that look alike', () => {
  const CASES: readonly [what: string, one: Given, other: Given, alike: boolean][] = [
    ['equal addresses of two hosts', {}, { client: THERE }, true],
    ['different addresses', {}, { client: THERE, clientInner: '10.1.2.1' }, false],
    ['a subnet around a host', {}, { client: THERE, theirs: [range('10.1.0.0', '10.1.255.255')] }, true],
    ['another subnet', {}, { client: THERE, theirs: [range('10.2.0.0', '10.2.255.255')] }, false],
    [
      'two subnets with a common part',
      { theirs: [range('10.0.0.0', '10.0.0.9')] },
      { client: THERE, theirs: [range('10.0.0.9', '10.0.0.99')] },
      true,
    ],
    ['one host with two CHILD_SAs', {}, {}, false],
    ['two hosts behind one NAT', {}, { port: 40_001 }, true],
    ['two DVIPAs', {}, { client: THERE, dvipa: OTHER_DVIPA }, false],
    ['two protocols', { selector: { protocol: 6 } }, { client: THERE, selector: { protocol: 17 } }, false],
    ['a protocol and any', { selector: { protocol: 6 } }, { client: THERE }, true],
    [
      'two ports',
      { selector: { protocol: 6, fromPort: 80, toPort: 80 } },
      { client: THERE, selector: { protocol: 6, fromPort: 443, toPort: 443 } },
      false,
    ],
    [
      'a second selector',
      { theirs: [range('10.9.9.9'), range('10.1.1.1')] },
      { client: THERE, theirs: [range('10.1.1.1'), range('10.8.8.8')] },
      true,
    ],
    ['an address of the other family', {}, { client: THERE, theirs: [range('2001:db8::1')] }, false],
  ];

  for (const [what, one, other, alike] of CASES) {
    it(`${what}: ${alike ? 'alike' : 'not alike'}, in either order`, () => {
      for (const [a, b] of [
        [one, other],
        [other, one],
      ] as const) {
        const overlaps = new GroupOverlaps();
        overlaps.add(saOf({ ...a, group: 1 }));
        overlaps.add(saOf({ ...b, group: 2 }));
        expect([overlaps.has(1), overlaps.has(2)]).to.deep.equal([alike, alike]);
        expect([...overlaps.of(1)]).to.deep.equal(alike ? [2] : NOBODY);
        overlaps.remove(saOf({ ...b, group: 2 }).id);
        expect([overlaps.has(1), overlaps.has(2)]).to.deep.equal([false, false]);
      }
    });
  }

  it('tells once when a group begins to look like others and once when that ends, not at rekeys or moves', () => {
    const overlaps = new GroupOverlaps();
    const told: string[] = [];
    overlaps.listener = {
      began: (groups) => told.push(`began ${[...groups].toSorted(ascending).join()}`),
      ended: (group) => told.push(`ended ${group}`),
    };
    const [one, two] = [saOf({ group: 1 }), saOf({ group: 2, client: THERE })];
    const rekeyed = saOf({ group: 2, client: THERE, spi: 0x2002 });
    overlaps.add(one);
    overlaps.add(two);
    overlaps.add(two);
    overlaps.add(rekeyed);
    overlaps.remove(two.id);
    overlaps.add(saOf({ group: 2, client: THERE, spi: 0x2003, direction: 'out' }));
    overlaps.remove(rekeyed.id);
    expect(told).to.deep.equal(['began 1,2']);
    overlaps.update(saOf({ group: 1, port: 50_000 }));
    expect(told).to.deep.equal(['began 1,2']);
    overlaps.update(saOf({ group: 1, client: THERE }));
    expect(told.splice(0).toSorted()).to.deep.equal(['began 1,2', 'ended 1', 'ended 2']);
    overlaps.update(one);
    expect(told).to.deep.equal(['began 1,2']);
  });

  it('agrees with a look at all pairs, whatever comes and goes', () => {
    const sa = fc.record({
      n: fc.integer({ min: 1, max: 9 }),
      group: fc.integer({ min: 1, max: 5 }),
      peer: fc.integer({ min: 1, max: 3 }),
      from: fc.integer({ min: 0, max: 6 }),
      size: fc.integer({ min: 0, max: 2 }),
      isGone: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(sa, { maxLength: 40 }), (steps) => {
        const overlaps = new GroupOverlaps();
        const there = new Map<number, (typeof steps)[number]>();
        for (const step of steps) {
          const id = `x:${step.n}` as SaId;
          const theirs = [range(`10.0.0.${step.from}`, `10.0.0.${step.from + step.size}`)];
          const made = { ...saOf({ group: step.group, client: `192.0.2.${step.peer}`, theirs }), id };
          if (step.isGone) {
            overlaps.remove(id);
            there.delete(step.n);
          } else if (there.has(step.n)) {
            overlaps.update(made);
            there.set(step.n, step);
          } else {
            overlaps.add(made);
            there.set(step.n, step);
          }
        }
        for (const group of [1, 2, 3, 4, 5]) {
          const mine = [...there.values()].filter((one) => one.group === group);
          const alike = [...there.values()].filter((other) =>
            mine.some(
              (one) =>
                one.group !== other.group &&
                one.peer !== other.peer &&
                one.from <= other.from + other.size &&
                other.from <= one.from + one.size,
            ),
          );
          const expected = [...new Set(alike.map((other) => other.group))].toSorted(ascending);
          expect([...overlaps.of(group)].toSorted(ascending)).to.deep.equal(expected);
          expect(overlaps.has(group)).to.equal(expected.length > 0);
        }
      }),
    );
  });
});
