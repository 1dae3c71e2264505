import { expect } from 'chai';
import { type ConnectionKey, newConnectionKey } from '../../src/connections/connection-key.ts';
import { ConnectionTable, type ConnectionTableOptions } from '../../src/connections/connection-table.ts';
import { addr } from '../support/inner-packets.ts';
import { entriesOf } from '../support/table-entries.ts';

const SEED = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const DVIPA = addr('203.0.113.10');
const flow = (sourcePort: number, more: Partial<ConnectionKey> = {}): ConnectionKey => ({
  ...newConnectionKey(),
  dvipa: DVIPA,
  group: 1,
  protocol: 6,
  source: addr('10.1.1.1'),
  sourcePort,
  destinationPort: 80,
  ...more,
});

const tableOf = (more: Partial<ConnectionTableOptions> = {}) =>
  new ConnectionTable({ seed: SEED, capacity: 64, tentativePerGroup: 8, tentativeTotal: 16, ...more });

describe('connection table', () => {
  it('finds what was put in, and nothing else', () => {
    const table = tableOf();
    expect(table.lookup(flow(1))).equal(-1);
    expect(table.addTentative(flow(1), 2, 0)).equal(true);
    expect(table.lookup(flow(1))).equal(2);
    expect(table.lookup(flow(2))).equal(-1);
  });

  it('gives connections in clear a share of its entries and no more: SAs find theirs', () => {
    const table = tableOf({ clearTotal: 8, tentativePerGroup: 64, tentativeTotal: 64 });
    const clear = (port: number) => ({ ...flow(port), group: 0 });
    for (let port = 0; port < 6; port++) expect(table.addTentative(clear(port), 1, 0)).equal(true);
    for (let port = 0; port < 6; port++) expect(table.confirm(clear(port), 1, 0)).equal('new');
    expect(table.addTentative(clear(6), 1, 0)).equal(true);
    expect(table.confirm(clear(7), 1, 0)).equal('new');
    expect([
      table.hasRoomFor(0),
      table.addTentative(clear(8), 1, 0),
      table.confirm(clear(9), 1, 0),
    ]).deep.equal([false, false, 'full']);
    expect(table.confirm(clear(6), 1, 0), 'what was promised room has it').equal('new');
    for (let port = 0; port < 56; port++) expect(table.confirm(flow(port), 2, 0)).equal('new');
    expect(table.confirm(flow(56), 2, 0)).equal('full');
    table.removeTarget(1);
    expect(table.hasRoomFor(0)).equal(true);
  });

  it('keeps peers with equal addresses apart by SA group', () => {
    const table = tableOf();
    table.addTentative(flow(1, { group: 1 }), 1, 0);
    table.addTentative(flow(1, { group: 2 }), 2, 0);
    expect([table.lookup(flow(1, { group: 1 })), table.lookup(flow(1, { group: 2 }))]).deep.equal([1, 2]);
  });

  it('forgets a tentative entry after 5 s, however often it is looked up', () => {
    const table = tableOf();
    table.addTentative(flow(1), 2, 0);
    expect(table.addTentative(flow(1), 1, 3000), 'exists').equal(false);
    table.sweep(4999, 128);
    expect(table.lookup(flow(1))).equal(2);
    expect(table.sweep(5000, 128)).equal(1);
    expect(table.lookup(flow(1))).equal(-1);
    expect(table.size).equal(0);
  });

  it('keeps a confirmed entry until it was idle for 15 minutes, reports of its target refresh it', () => {
    const table = tableOf();
    table.addTentative(flow(1), 2, 0);
    expect(table.confirm(flow(1), 2, 1000)).equal('new');
    expect(table.confirm(flow(1), 2, 500_000)).equal('known');
    table.sweep(1_399_999, 128);
    expect(table.lookup(flow(1))).equal(2);
    table.sweep(1_400_000, 128);
    expect(table.lookup(flow(1))).equal(-1);
  });

  it('keeps a closed connection for 60 s on its target, and opens it again if it is reported open', () => {
    const table = tableOf();
    table.confirm(flow(1), 2, 0);
    expect(table.close(flow(1), 2, 1000)).equal(true);
    expect(table.close(flow(1), 2, 30_000), 'again: no new time').equal(true);
    table.sweep(60_999, 128);
    expect(table.lookup(flow(1))).equal(2);
    expect(table.confirm(flow(1), 2, 60_999)).equal('new');
    table.sweep(61_000, 128);
    expect(table.lookup(flow(1))).equal(2);
  });

  it('believes a target only about its own connections', () => {
    const table = tableOf();
    table.addTentative(flow(1), 1, 0);
    table.confirm(flow(2), 1, 0);
    expect(table.confirm(flow(1), 2, 1)).equal('refused');
    expect(table.confirm(flow(2), 2, 1)).equal('refused');
    expect(table.close(flow(2), 2, 1)).equal(false);
    expect(table.close(flow(1), 1, 1), 'tentative').equal(false);
    expect([table.lookup(flow(1)), table.lookup(flow(2))]).deep.equal([1, 1]);
  });

  it('holds tentative entries to their quota per SA group and in all; confirmed ones do not count', () => {
    const table = tableOf();
    for (let port = 0; port < 20; port++) table.addTentative(flow(port), 1, 0);
    expect(table.tentativeCount).equal(8);
    expect(table.hasRoomFor(1)).equal(false);
    for (let port = 0; port < 20; port++) table.addTentative(flow(port, { group: 2 }), 1, 0);
    expect(table.tentativeCount).equal(16);
    expect(table.hasRoomFor(3)).equal(false);
    table.confirm(flow(0), 1, 1);
    expect(table.hasRoomFor(1)).equal(true);
    expect([table.tentativeCount, table.confirmedCount]).deep.equal([15, 1]);
    table.sweep(5000, 128);
    expect([table.tentativeCount, table.confirmedCount]).deep.equal([0, 1]);
  });

  it('refuses when it is full', () => {
    const table = tableOf();
    for (let port = 0; port < 64; port++) expect(table.confirm(flow(port), 1, 0)).equal('new');
    expect(table.confirm(flow(64), 1, 0)).equal('full');
    expect(table.addTentative(flow(64), 1, 0)).equal(false);
    expect(table.confirm(flow(63), 1, 0)).equal('known');
  });

  it('forgets the connections of a lost target, and those of an SA group that is gone', () => {
    const table = tableOf();
    for (let port = 0; port < 30; port++) table.confirm(flow(port, { group: port % 2 }), port % 3, 0);
    expect(table.removeTarget(1)).equal(10);
    for (let port = 0; port < 30; port++) {
      expect(table.lookup(flow(port, { group: port % 2 }))).equal(port % 3 === 1 ? -1 : port % 3);
    }
    expect(table.removeGroup(1)).equal(10);
    expect(table.size).equal(10);
  });

  it('removes groups without connections by the thousand at once: charon was restarted', () => {
    const table = new ConnectionTable({ seed: SEED });
    table.confirm(flow(1, { group: 7 }), 1, 0);
    table.addTentative(flow(2, { group: 8 }), 1, 0);
    table.sweep(5000, 2 ** 17);
    const began = performance.now();
    for (let group = 100; group < 10_100; group++) table.removeGroup(group);
    expect(table.removeGroup(8), 'expired').equal(0);
    expect(performance.now() - began).lessThan(200);
    expect(table.removeGroup(7)).equal(1);
    expect(table.size).equal(0);
  });

  it('lists its entries with state and remaining time', () => {
    const table = tableOf();
    table.addTentative(flow(1), 1, 0);
    table.confirm(flow(2), 2, 0);
    table.confirm(flow(3), 2, 0);
    table.close(flow(3), 2, 0);
    const views = entriesOf(table, 1000).toSorted((a, b) => a.sourcePort - b.sourcePort);
    expect(views.map(({ state, target, remainingMs }) => [state, target, remainingMs])).deep.equal([
      ['tentative', 1, 4000],
      ['established', 2, 899_000],
      ['closing', 2, 59_000],
    ]);
    expect(views[0]).deep.include(flow(1));
  });

  it('tells of every tentative entry when it ends, once', () => {
    let ended = 0;
    const table = tableOf({
      onChange: (_key, _target, before) => {
        if (before === 'tentative') ended++;
      },
    });
    for (let port = 0; port < 6; port++) table.addTentative(flow(port), port % 2, 0);
    table.confirm(flow(0), 0, 0);
    table.confirm(flow(0), 0, 0);
    expect(ended).equal(1);
    table.removeTarget(1);
    expect(ended).equal(4);
    table.sweep(5000, 128);
    expect(ended).equal(6);
  });

  it('takes a capacity that is a power of two only, up to 2^20', () => {
    for (const capacity of [0, 8, 100, 2 ** 21]) {
      expect(() => new ConnectionTable({ seed: SEED, capacity }), `${capacity}`).throw(RangeError);
    }
  });
});
