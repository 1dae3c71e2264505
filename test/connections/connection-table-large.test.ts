import { expect } from 'chai';
import * as fc from 'fast-check';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { ConnectionTable } from '../../src/connections/connection-table.ts';
import { flow, SEED } from './distributor-bench.ts';

const MILLION = 2 ** 20;

interface Entry {
  readonly target: number;
  readonly group: number;
  readonly state: 'tentative' | 'established' | 'closing';
  readonly expires: number;
}

describe('connection table beside a Map', () => {
  it('holds what the Map holds, whatever is looked up, added, confirmed, closed, removed and expires', () => {
    const step = fc.record({
      what: fc.constantFrom(
        'add',
        'add',
        'add',
        'confirm',
        'confirm',
        'close',
        'sweep',
        'target',
        'group',
        'remove',
      ),
      port: fc.nat(50),
      group: fc.nat(2),
      target: fc.nat(3),
      pause: fc.constantFrom(0, 100, 5000, 60_000, 900_000),
    });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 100, maxLength: 200 }),
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        (steps, seed) => {
          const table = new ConnectionTable({
            seed,
            capacity: 32,
            tentativePerGroup: 8,
            tentativeTotal: 12,
            clearTotal: 32,
          });
          const model = new Map<string, Entry>();
          const tentative = (group?: number) =>
            [...model.values()].filter(
              (each) => each.state === 'tentative' && each.group === (group ?? each.group),
            ).length;
          let now = 0;
          for (const { what, port, group, target, pause } of steps) {
            now += pause;
            const key = flow(port, { group });
            const name = `${group} ${port}`;
            const known = model.get(name);
            const set = (state: Entry['state'], lasts: number) =>
              model.set(name, { target: known?.target ?? target, group, state, expires: now + lasts });
            const forget = (matches: (entry: Entry) => boolean) => {
              let forgotten = 0;
              for (const [each, entry] of model) if (matches(entry)) forgotten += Number(model.delete(each));
              return forgotten;
            };
            if (what === 'add') {
              const fits = model.size < 32 && tentative() < 12 && tentative(group) < 8;
              expect(table.addTentative(key, target, now)).equal(known === undefined && fits);
              if (known === undefined && fits) set('tentative', 5000);
            } else if (what === 'confirm') {
              const before = known?.state === 'established' ? 'known' : 'new';
              const isFull = known === undefined && model.size === 32;
              const want =
                known !== undefined && known.target !== target ? 'refused' : isFull ? 'full' : before;
              expect(table.confirm(key, target, now)).equal(want);
              if (want === 'new' || want === 'known') set('established', 900_000);
            } else if (what === 'close') {
              const isIts = known !== undefined && known.target === target && known.state !== 'tentative';
              expect(table.close(key, target, now)).equal(isIts);
              if (isIts && known.state === 'established') set('closing', 60_000);
            } else if (what === 'sweep') {
              expect(table.sweep(now, 64)).equal(forget(({ expires }) => expires <= now));
            } else if (what === 'target') {
              expect(table.removeTarget(target)).equal(forget((entry) => entry.target === target));
            } else if (what === 'group') {
              expect(table.removeGroup(group)).equal(forget((entry) => entry.group === group));
            } else expect(table.remove(key)).equal(model.delete(name));
            expect([table.size, table.tentativeCount]).deep.equal([model.size, tentative()]);
            for (const each of [0, 1, 2]) {
              expect(table.sizeOf(each)).equal(
                [...model.values()].filter((entry) => entry.group === each).length,
              );
              for (let other = 0; other <= 50; other++) {
                const entry = model.get(`${each} ${other}`);
                const its = flow(other, { group: each });
                expect(table.lookup(its)).equal(entry?.target ?? -1);
                expect(table.isConfirmed(its)).equal(entry !== undefined && entry.state !== 'tentative');
              }
            }
          }
        },
      ),
      { numRuns: 20 },
    );
  }).timeout(60_000);
});

describe('connection table of 1 048 576 entries', () => {
  it('finds every connection, is full then, and takes 81 bytes for each', () => {
    const table = new ConnectionTable({ seed: SEED, capacity: MILLION });
    expect(table.bytesPerEntry).equal(81);
    const key = newConnectionKey();
    key.group = 1;
    const name = (i: number) => {
      key.source[3] = i >>> 8;
      key.sourcePort = i & 0xff;
    };
    for (let i = 0; i < MILLION; i++) {
      name(i);
      if (table.confirm(key, i & 31, 0) !== 'new') expect.fail(`connection ${i} was not taken`);
    }
    expect(table.size).equal(MILLION);
    let wrong = 0;
    for (let i = 0; i < MILLION; i++) {
      name(i);
      if (table.lookup(key) !== (i & 31)) wrong++;
    }
    expect(wrong).equal(0);
    name(MILLION);
    expect([table.lookup(key), table.confirm(key, 0, 0), table.addTentative(key, 0, 0)]).deep.equal([
      -1,
      'full',
      false,
    ]);
    expect(table.removeTarget(7)).equal(MILLION / 32);
    name(7);
    expect(table.lookup(key)).equal(-1);
    name(8);
    expect(table.lookup(key)).equal(8);
  }).timeout(60_000);

  it('allocates nothing for a look-up, found or not', () => {
    const table = new ConnectionTable({ seed: SEED, capacity: 2 ** 10 });
    const key = newConnectionKey();
    for (let i = 0; i < 512; i++) {
      key.sourcePort = i;
      table.confirm(key, 1, 0);
    }
    const look = (times: number) => {
      for (let i = 0; i < times; i++) {
        key.sourcePort = i & 1023;
        table.lookup(key);
      }
    };
    look(200_000); // compiled by now
    const before = process.memoryUsage().heapUsed;
    look(1_000_000);
    // One object of two words for each would be 16 MB; a collection in between only makes it less.
    expect(process.memoryUsage().heapUsed - before).lessThan(2_000_000);
  }).timeout(60_000);
});
