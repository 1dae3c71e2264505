import { expect } from 'chai';
import { Affinity } from '../../src/connections/affinity.ts';
import type { Distributor } from '../../src/connections/distributor.ts';
import { addr } from '../support/inner-packets.ts';
import { client, distributorOf, DVIPA, flow, open, SEED, tcpPorts } from './distributor-bench.ts';

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const source = (last: number) => addr(`10.1.2.${last}`);
/** Until everything that has expired is forgotten. */
function sweep(distributor: Distributor, now: number) {
  for (let part = 0; part < 16; part++) distributor.sweep(now);
}

describe('affinity by source', () => {
  const settings = { affinity: { sourceSeconds: 300 } } as const;

  it('sends all connections of a source to one target, and those of many to all', () => {
    const distributor = distributorOf(settings);
    const targets = range(60).map((last) => {
      const to = range(5).map((port) => open(distributor, flow(port, { source: source(last) })));
      expect(new Set(to).size, `source ${last}`).equal(1);
      return to[0];
    });
    for (const target of [0, 1, 2]) expect(targets.filter((each) => each === target)).have.length(20);
  });

  it('keeps sources of different SA groups apart, whatever their addresses', () => {
    const distributor = distributorOf(settings);
    const targets = range(3).map((group) => open(distributor, flow(1, { group })));
    expect(targets).deep.equal([0, 1, 2]);
  });

  it('lasts its seconds from the last confirmed connection on', () => {
    const distributor = distributorOf(settings);
    expect(open(distributor, flow(1), 0)).equal(0);
    expect(open(distributor, flow(2), 200_000)).equal(0);
    sweep(distributor, 499_000);
    expect(distributor.route(flow(3), true, undefined, 499_000)).equal(0);
    sweep(distributor, 500_000);
    expect(distributor.route(flow(4), true, undefined, 500_000)).equal(1);
  });

  it('is not refreshed by openings that nobody confirms', () => {
    const distributor = distributorOf(settings);
    expect(open(distributor, flow(1), 0)).equal(0);
    for (let now = 1000; now < 300_000; now += 1000)
      distributor.route(flow(now / 1000), true, undefined, now);
    sweep(distributor, 300_000);
    expect(distributor.route(flow(999), true, undefined, 300_000)).equal(1);
  });

  it('remembers an unconfirmed choice for 5 s, so that connections opened at once go together', () => {
    const distributor = distributorOf(settings);
    expect(range(4).map((port) => distributor.route(flow(port), true, undefined, 0))).deep.equal([
      0, 0, 0, 0,
    ]);
    sweep(distributor, 5000);
    expect(distributor.table.size).equal(0);
    distributor.confirm(flow(9, { group: 9 }), 0, 5000);
    expect(distributor.route(flow(5), true, undefined, 5000), 'chosen anew').equal(1);
  });

  it('holds the memory of unconfirmed choices to its quota; beyond, a hash of the source still names one target', () => {
    const affinity = new Affinity(SEED, settings.affinity);
    for (let i = 0; i < 1000; i++) affinity.remember(client(i), 0, 0);
    expect(affinity.size).equal(64);
    for (let i = 0; i < 64_000; i++) affinity.remember(client(i, { group: i >> 6 }), 0, 0);
    expect(affinity.size).equal(1024);
    const distributor = distributorOf(settings);
    for (let i = 0; i < 100; i++) distributor.route(client(i), true, undefined, 0);
    const to = range(20).map((port) => distributor.route(flow(port), true, undefined, 0));
    expect(new Set(to).size).equal(1);
  });

  it('holds confirmed sources of one SA group to a quarter of the room', () => {
    const affinity = new Affinity(SEED, settings.affinity);
    for (let i = 0; i < 5000; i++) affinity.confirmed(client(i), 0, 1, 0);
    expect(affinity.size).equal(4096);
    affinity.confirmed(client(1, { group: 2 }), 0, 1, 0);
    expect(affinity.size).equal(4097);
  });

  it('goes elsewhere when its target is drained or lost, and stays there', () => {
    for (const goes of ['drained', 'lost']) {
      const distributor = distributorOf(settings);
      expect(open(distributor, flow(1))).equal(0);
      if (goes === 'lost') distributor.removeTarget(0);
      else distributor.setDraining(0, true);
      const next = open(distributor, flow(2));
      expect(next, goes).within(1, 2);
      if (goes === 'lost') distributor.addTarget(DVIPA, 0);
      else distributor.setDraining(0, false);
      expect(range(5).map((port) => open(distributor, flow(10 + port)))).deep.equal(range(5).map(() => next));
    }
  });

  it('goes elsewhere when its target does not listen any more, all connections together', () => {
    const distributor = distributorOf(settings);
    for (const target of [0, 1, 2]) distributor.setListeners(target, DVIPA, tcpPorts(80));
    expect(open(distributor, flow(1))).equal(0);
    distributor.setListeners(0, DVIPA, tcpPorts(81));
    const waiting = range(5).map((port) => distributor.route(flow(10 + port), true, undefined, 0));
    expect(new Set(waiting).size).equal(1);
    expect(waiting[0]).within(1, 2);
    distributor.confirm(flow(10), waiting[0] as number, 0);
    distributor.setListeners(0, DVIPA, tcpPorts(80));
    expect(open(distributor, flow(20))).equal(waiting[0]);
  });

  it('waits for a target that has not acknowledged the SA yet', () => {
    const distributor = distributorOf(settings);
    expect(open(distributor, flow(1))).equal(0);
    expect(distributor.route(flow(2), true, new Set([1, 2]), 0)).equal(0);
  });

  it('sends segments without an entry where their source is', () => {
    const distributor = distributorOf(settings);
    for (let i = 0; i < 30; i++) {
      const target = open(distributor, client(i));
      expect(distributor.route({ ...client(i), sourcePort: 9999 }, false, undefined, 0)).equal(target);
    }
  });
});

describe('affinity by SA', () => {
  it('sends all connections of an SA group to one target, and those of many to all', () => {
    const distributor = distributorOf({ affinity: 'sa' });
    const targets = range(30).map((group) => {
      const to = range(5).map((i) => open(distributor, client(i, { group })));
      expect(new Set(to).size, `group ${group}`).equal(1);
      return to[0];
    });
    for (const target of [0, 1, 2]) expect(targets.filter((each) => each === target)).have.length(10);
  });

  it('lasts as long as the group', () => {
    const distributor = distributorOf({ affinity: 'sa' });
    expect(open(distributor, flow(1))).equal(0);
    const later = 10 * 24 * 3_600_000;
    sweep(distributor, later);
    expect(distributor.table.size).equal(0);
    expect(distributor.route(flow(2), true, undefined, later)).equal(0);
    distributor.removeGroup(1);
    expect(distributor.route(flow(3), true, undefined, later)).equal(1);
  });

  it('is made durable by no unconfirmed packet', () => {
    const distributor = distributorOf({ affinity: 'sa' });
    distributor.route(flow(1), true, undefined, 0);
    sweep(distributor, 5000);
    distributor.confirm(flow(9, { group: 9 }), 0, 5000);
    expect(distributor.route(flow(2), true, undefined, 5000)).equal(1);
  });
});

describe('no affinity', () => {
  it('is the default: connections of one source go to all targets', () => {
    const distributor = distributorOf({});
    expect(range(3).map((port) => open(distributor, flow(port)))).deep.equal([0, 1, 2]);
  });
});
