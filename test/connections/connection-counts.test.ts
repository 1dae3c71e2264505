import { expect } from 'chai';
import * as fc from 'fast-check';
import { ConnectionTable } from '../../src/connections/connection-table.ts';
import { DistributedService, MaglevTables } from '../../src/connections/service.ts';
import { flow, SEED } from './distributor-bench.ts';
import { entriesOf } from '../support/table-entries.ts';

/** A table, and the service that counts from its changes as in the distributor. */
function counting(capacity = 64) {
  const service = new DistributedService(SEED, new MaglevTables(SEED));
  const table = new ConnectionTable({
    seed: SEED,
    capacity,
    tentativePerGroup: capacity,
    tentativeTotal: capacity,
    onChange: (_key, target, before, after) => service.changed(target, before, after),
  });
  const counts = (target: number) => [service.counts.tentative[target], service.counts.active[target]];
  return { table, counts };
}

describe('counts of a target, tentative and active', () => {
  it('rise and fall once, whatever ends a connection: close, expiry, loss of the target, end of the group', () => {
    const { table, counts } = counting();
    for (let port = 0; port < 8; port++) table.addTentative(flow(port, { group: port % 2 }), 0, 0);
    expect(counts(0)).deep.equal([8, 0]);
    for (let port = 0; port < 6; port++) table.confirm(flow(port, { group: port % 2 }), 0, 0);
    expect(counts(0)).deep.equal([2, 6]);
    for (let again = 0; again < 2; again++) table.close(flow(0, { group: 0 }), 0, 0);
    expect(counts(0), 'closed').deep.equal([2, 5]);
    table.sweep(5000, 128);
    expect(counts(0), 'promises expired').deep.equal([0, 5]);
    table.confirm(flow(0, { group: 0 }), 0, 5000);
    expect(counts(0), 'open again').deep.equal([0, 6]);
    table.removeGroup(1);
    expect(counts(0), 'group gone').deep.equal([0, 3]);
    table.remove(flow(2, { group: 0 }));
    expect(counts(0), 'forgotten').deep.equal([0, 2]);
    table.sweep(900_000, 128);
    expect(counts(0), 'idle').deep.equal([0, 1]);
    table.removeTarget(0);
    expect(counts(0), 'target lost').deep.equal([0, 0]);
  });

  it('are those of the entries, after any sequence of operations', () => {
    const step = fc.tuple(fc.nat(7), fc.nat(30), fc.nat(2), fc.nat(1));
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 150 }), (steps) => {
        const { table, counts } = counting(16);
        let now = 0;
        for (const [what, port, target, group] of steps) {
          now += 700;
          const key = flow(port, { group });
          if (what < 3) table.addTentative(key, target, now);
          else if (what === 3) table.confirm(key, table.lookup(key) < 0 ? target : table.lookup(key), now);
          else if (what === 4) table.close(key, table.lookup(key), now);
          else if (what === 5) table.sweep(now, 8);
          else if (what === 6 && port < 3) table.removeTarget(target);
          else if (what === 7 && port < 3) table.removeGroup(group);
          const entries = entriesOf(table, Number.NEGATIVE_INFINITY);
          for (const each of [0, 1, 2]) {
            const of = (state: string) =>
              entries.filter((entry) => entry.target === each && entry.state === state).length;
            expect(counts(each)).deep.equal([of('tentative'), of('established')]);
            expect(table.sizeOfTarget(each)).equal(entries.filter((entry) => entry.target === each).length);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
