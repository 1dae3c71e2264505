import { expect } from 'chai';
import * as fc from 'fast-check';
import { KeyedHash } from '../../src/connections/connection-key.ts';
import { MaglevTable } from '../../src/connections/methods/maglev-table.ts';
import { EQUAL_WEIGHTS } from '../../src/connections/methods/weights.ts';
import { maskOf, maskOfAll } from '../../src/connections/target-mask.ts';
import { client, distributorOf, DVIPA, open, SEED } from './distributor-bench.ts';

const HASH = new KeyedHash(SEED);
const CONNECTIONS = 20_000;
const hashes = Array.from({ length: CONNECTIONS }, (_, i) => HASH.words(i, 0, 0, 0, 0));
const tableOf = (targets: readonly number[], weights = EQUAL_WEIGHTS, hash = HASH) =>
  new MaglevTable(hash, targets, weights);
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

function countsOf(table: MaglevTable, mask: number): number[] {
  const got = range(32).map(() => 0);
  for (const hash of hashes) {
    const target = table.choose(mask, hash);
    got[target] = (got[target] ?? 0) + 1;
  }
  return got;
}

describe('Maglev table', () => {
  it('gives every target its share, to 5 %', () => {
    for (const count of [1, 2, 3, 7]) {
      const got = countsOf(tableOf(range(count)), maskOfAll(range(count)));
      const share = CONNECTIONS / count;
      for (const target of range(count)) expect(got[target]).within(share * 0.95, share * 1.05);
    }
  });

  it('gives shares by weight, also with few candidates of many', () => {
    const weights = new Map([
      [3, 2],
      [4, 4],
    ]);
    const all = countsOf(tableOf([2, 3, 4], weights), maskOfAll([2, 3, 4]));
    for (const [target, weight] of [[2, 1] as const, ...weights]) {
      expect(all[target]).within((CONNECTIONS * weight * 0.95) / 7, (CONNECTIONS * weight * 1.05) / 7);
    }
    const few = countsOf(tableOf(range(32), weights), maskOfAll([2, 3, 4]));
    for (const [target, weight] of [[2, 1] as const, ...weights]) {
      expect(few[target]).within((CONNECTIONS * weight * 0.95) / 7, (CONNECTIONS * weight * 1.05) / 7);
    }
  });

  it('moves only the share of a target that is not to be had, evenly, and gives exactly that back', () => {
    const table = tableOf(range(4));
    const before = hashes.map((hash) => table.choose(0b1111, hash));
    const without = hashes.map((hash) => table.choose(0b1011, hash));
    const got = [0, 0, 0, 0];
    for (const [i, target] of before.entries()) {
      if (target === 2) got[without[i] as number] = (got[without[i] as number] ?? 0) + 1;
      else expect(without[i]).equal(target);
    }
    const moved = got.reduce((a, b) => a + b, 0);
    for (const target of [0, 1, 3]) expect(got[target]).within(moved / 3 / 1.1, (moved / 3) * 1.1);
    expect(hashes.map((hash) => table.choose(0b1111, hash))).deep.equal(before);
  });

  it('never moves a connection of a target that stays, whichever targets go', () => {
    const tables = [1, 2, 5, 32].map((count) => ({ count, table: tableOf(range(count)) }));
    const anyMask = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(
        fc.constantFrom(...tables),
        anyMask,
        anyMask,
        fc.nat(2 ** 32 - 1),
        ({ count, table }, a, b, hash) => {
          const all = count === 32 ? -1 : (1 << count) - 1;
          const larger = a & all;
          const smaller = larger & b;
          const target = table.choose(larger, hash);
          expect(target).equal(larger === 0 ? -1 : target);
          if (target >= 0 && (smaller & maskOf(target)) !== 0)
            expect(table.choose(smaller, hash)).equal(target);
          const other = table.choose(smaller, hash);
          if (smaller === 0) expect(other).equal(-1);
          else expect(smaller & maskOf(other)).not.equal(0);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('is another one with another seed: nobody outside knows where a connection goes', () => {
    const one = tableOf(range(2));
    const other = tableOf(range(2), EQUAL_WEIGHTS, new KeyedHash(Uint8Array.from(SEED, (byte) => byte ^ 1)));
    const same = hashes.filter((hash) => one.choose(0b11, hash) === other.choose(0b11, hash)).length;
    expect(same / CONNECTIONS).within(0.4, 0.6);
  });

  it('has a hundred slots for each unit of weight, and a prime number of them', () => {
    expect(tableOf(range(3)).size).equal(1021);
    expect(tableOf(range(3), new Map(range(3).map((target) => [target, 50]))).size, 'equal weights').equal(
      1021,
    );
    expect(tableOf(range(3), new Map([[0, 100]])).size).equal(16_381);
    expect(tableOf(range(32), new Map([[0, 99], ...range(31).map((i) => [i + 1, 100] as const)])).size).equal(
      65_521,
    );
  });
});

describe('a distributor without entries', () => {
  it('moves only the segments of the target that goes, and moves them back', () => {
    const distributor = distributorOf({ targets: [0, 1, 2, 3] }, [0, 1, 2, 3]);
    const segments = () => range(2000).map((i) => distributor.route(client(i), false, undefined, 0));
    const before = segments();
    const expectOthersStay = () => {
      for (const [i, target] of segments().entries()) {
        if (before[i] !== 2) expect(target).equal(before[i]);
        else expect(target).not.equal(2);
      }
    };
    distributor.removeTarget(2);
    expectOthersStay();
    distributor.addTarget(DVIPA, 2);
    distributor.setDraining(2, true);
    expectOthersStay();
    distributor.setDraining(2, false);
    expect(segments()).deep.equal(before);
  });

  it('moves only the share of a removed target among new connections by Maglev', () => {
    const before = distributorOf({ distribution: 'maglev', targets: [0, 1, 2, 3] }, [0, 1, 2, 3]);
    const after = distributorOf({ distribution: 'maglev', targets: [0, 1, 2, 3] }, [0, 1, 3]);
    for (const i of range(2000)) {
      const target = open(before, client(i));
      if (target !== 2) expect(open(after, client(i))).equal(target);
    }
  });
});
