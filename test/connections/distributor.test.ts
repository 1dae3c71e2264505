import { expect } from 'chai';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { Distributor } from '../../src/connections/distributor.ts';
import { addr } from '../support/inner-packets.ts';

const DVIPA = addr('203.0.113.10');
const OTHER = addr('203.0.113.11');
const flow = (sourcePort: number, group = 1) => ({
  ...newConnectionKey(),
  dvipa: DVIPA,
  group,
  protocol: 6,
  source: addr('10.1.1.1'),
  sourcePort,
  destinationPort: 80,
});

function distributorOf(
  targets: number[],
  tentativePerGroup = 100,
  alike: readonly number[] = [],
): Distributor {
  const seed = Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1);
  const lookAlikes = {
    has: (group: number) => alike.includes(group),
    of: (group: number) => alike.filter((other) => other !== group),
  };
  const distributor = new Distributor({ seed, capacity: 1024, tentativePerGroup, lookAlikes });
  distributor.setDvipa(DVIPA);
  for (const target of targets) distributor.addTarget(DVIPA, target);
  return distributor;
}

describe('distributor', () => {
  it('cycles through the targets, confirmed or not', () => {
    const distributor = distributorOf([0, 1, 2]);
    const tentative = [1, 2, 3, 4].map((port) => distributor.route(flow(port), true, undefined, 0));
    expect(tentative).deep.equal([0, 1, 2, 0]);
    for (const [i, target] of tentative.entries()) distributor.confirm(flow(i + 1), target, 1);
    expect([5, 6, 7].map((port) => distributor.route(flow(port), true, undefined, 0))).deep.equal([1, 2, 0]);
  });

  it('keeps a connection on its target whatever the flags', () => {
    const distributor = distributorOf([0, 1, 2]);
    const target = distributor.route(flow(1), true, undefined, 0);
    for (const opening of [true, false])
      expect(distributor.route(flow(1), opening, undefined, 9)).equal(target);
  });

  it('makes no entry for a segment that opens nothing, and chooses the same target each time', () => {
    const distributor = distributorOf([0, 1, 2]);
    const first = distributor.route(flow(1), false, undefined, 0);
    expect(distributor.table.size).equal(0);
    expect(distributor.route(flow(1), false, undefined, 0)).equal(first);
  });

  it('goes by hash over quota, and the group of another peer is not affected', () => {
    const distributor = distributorOf([0, 1, 2], 10);
    for (let port = 0; port < 1000; port++)
      expect(distributor.route(flow(port), true, undefined, 0)).within(0, 2);
    expect(distributor.table.tentativeCount).equal(10);
    distributor.route(flow(1, 2), true, undefined, 0);
    expect(distributor.table.tentativeCount).equal(11);
  });

  it('cannot be steered for long by forged openings between the genuine ones', () => {
    const distributor = distributorOf([0, 1, 2], 10);
    const shares = [0, 0, 0];
    let now = 0;
    for (let i = 0; i < 3000; i++) {
      now += 100;
      distributor.table.sweep(now, 2048);
      // Two forged ones bring a plain pointer back to the same target each time.
      for (let forged = 0; forged < 2; forged++)
        distributor.route(flow(2 * i + forged, 666), true, undefined, now);
      const target = distributor.route(flow(i), true, undefined, now);
      if (distributor.confirm(flow(i), target, now) !== 'refused') shares[target] = (shares[target] ?? 0) + 1;
      distributor.close(flow(i), target, now);
    }
    for (const share of shares) expect(share).within(1000 - 40, 1000 + 40);
  });

  it('gives a newcomer its share, not everything', () => {
    const distributor = distributorOf([0, 1]);
    const open = (port: number) => {
      const target = distributor.route(flow(port), true, undefined, 0);
      distributor.confirm(flow(port), target, 0);
      return target;
    };
    for (let port = 0; port < 50; port++) open(port);
    distributor.addTarget(DVIPA, 2);
    const next = Array.from({ length: 9 }, (_, i) => open(100 + i));
    for (const target of [0, 1, 2]) expect(next.filter((each) => each === target)).have.length(3);
  });

  it('chooses only targets that have the SA', () => {
    const distributor = distributorOf([0, 1, 2]);
    const eligible = new Set([1]);
    for (let port = 0; port < 20; port++) {
      expect(distributor.route(flow(port), port % 2 === 0, eligible, 0)).equal(1);
    }
    expect(distributor.route(flow(99), true, new Set(), 0)).equal(-1);
  });

  it('gives a lost target nothing more, and its connections to others', () => {
    const distributor = distributorOf([0, 1, 2]);
    for (let port = 0; port < 30; port++) {
      distributor.confirm(flow(port), distributor.route(flow(port), true, undefined, 0), 0);
    }
    expect(distributor.removeTarget(1)).equal(10);
    for (let port = 0; port < 60; port++)
      expect(distributor.route(flow(port), true, undefined, 0)).not.equal(1);
  });

  it('lets a drained target keep what it has', () => {
    const distributor = distributorOf([0, 1]);
    expect(distributor.route(flow(1), true, undefined, 0)).equal(0);
    distributor.setDraining(0, true);
    expect(distributor.route(flow(1), false, undefined, 0)).equal(0);
    expect(distributor.route(flow(2), true, undefined, 0)).equal(1);
  });

  it('drains a target on one DVIPA, and gives it connections again when nothing keeps them away', () => {
    const distributor = distributorOf([0, 1]);
    const targets = (from: number) =>
      new Set([1, 2, 3, 4].map((port) => distributor.route(flow(from + port), true, undefined, 0)));
    distributor.setDvipa(OTHER);
    for (const target of [0, 1]) distributor.addTarget(OTHER, target);
    distributor.setDraining(0, true, DVIPA);
    expect([...targets(10)]).deep.equal([1]);
    expect(distributor.targetsOf(OTHER), 'the other one').deep.equal([0, 1]);
    distributor.setDraining(0, true);
    expect(distributor.targetsOf(OTHER)).deep.equal([1]);
    distributor.setDraining(0, false, DVIPA);
    expect([...targets(20)], 'still drained on all').deep.equal([1]);
    distributor.setDraining(0, true, DVIPA);
    distributor.setDraining(0, false);
    expect([...targets(30)], 'still drained on this one').deep.equal([1]);
    expect(distributor.targetsOf(OTHER)).deep.equal([0, 1]);
    distributor.setDraining(0, false, DVIPA);
    expect([...targets(40)]).include(0);
  });

  it('keeps a target drained that is lost and comes again, until that is taken back', () => {
    const distributor = distributorOf([0, 1]);
    const opened = (from: number) =>
      new Set([1, 2, 3, 4].map((port) => distributor.route(flow(from + port), true, undefined, 0)));
    distributor.setDraining(0, true);
    distributor.removeTarget(0);
    distributor.addTarget(DVIPA, 0);
    expect([[...opened(10)], distributor.isDraining(0)]).deep.equal([[1], true]);
    distributor.removeTarget(0);
    distributor.setDraining(0, false);
    expect([...opened(20)], 'it is not there').deep.equal([1]);
    distributor.addTarget(DVIPA, 0);
    expect([...opened(30)]).include(0);
  });

  it('goes on with all connections when a DVIPA is served in another way, and counts them for their services', () => {
    const distributor = distributorOf([0, 1]);
    const open = (port: number) => {
      const target = distributor.route(flow(port), true, undefined, 0);
      distributor.confirm(flow(port), target, 0);
      return target;
    };
    const before = [1, 2, 3, 4].map(open);
    distributor.setDvipa(DVIPA, {
      distribution: 'weighted-active',
      weights: new Map([[1, 3]]),
      targets: [0, 1],
    });
    expect([1, 2, 3, 4].map((port) => distributor.table.lookup(flow(port)))).deep.equal(before);
    expect([0, 1].map((target) => distributor.connectionsOf(DVIPA, target))).deep.equal([2, 2]);
    expect([5, 6, 7, 8].map(open), 'until there are three for each of the other').deep.equal([1, 1, 1, 1]);
    const port = { protocol: 6, port: 80, distribution: 'weighted-active' } as const;
    distributor.setDvipa(DVIPA, { targets: [0, 1], services: [{ ...port, targets: [0, 1] }] });
    expect([0, 1].map((target) => distributor.connectionsOf(DVIPA, target))).deep.equal([2, 6]);
    expect([9, 10, 11, 12].map(open), 'the port’s service knows them').deep.equal([0, 0, 0, 0]);
    for (const each of [1, 2, 3, 4, 5, 6, 7, 8])
      distributor.close(flow(each), distributor.table.lookup(flow(each)), 1);
    expect([0, 1].map((target) => distributor.connectionsOf(DVIPA, target))).deep.equal([4, 0]);
  });

  it('does not count entries twice that have expired unswept', () => {
    const distributor = distributorOf([0]);
    distributor.route(flow(1), true, undefined, 0);
    distributor.setDvipa(DVIPA, { weights: new Map([[0, 2]]) });
    expect(distributor.connectionsOf(DVIPA, 0)).equal(1);
    distributor.table.sweep(10_000, 4096);
    expect(distributor.connectionsOf(DVIPA, 0)).equal(0);
  });

  it('leaves a drained target drained when a DVIPA is served in another way', () => {
    const distributor = distributorOf([0, 1]);
    distributor.setDraining(0, true);
    distributor.setDvipa(DVIPA, { weights: new Map([[0, 100]]) });
    expect(distributor.targetsOf(DVIPA)).deep.equal([1]);
    distributor.setDraining(0, false);
    expect(distributor.targetsOf(DVIPA)).deep.equal([0, 1]);
  });

  it('keeps what a busy target has said over a drain and over other settings', () => {
    const distributor = distributorOf([0, 1]);
    const settings = { distribution: 'server-load' } as const;
    distributor.setDvipa(DVIPA, settings);
    distributor.setLoad(0, 1000);
    distributor.setDraining(0, true);
    distributor.setDraining(0, false);
    distributor.setDvipa(DVIPA, { ...settings, weights: new Map([[1, 2]]) });
    const targets = [1, 2, 3, 4, 5, 6].map((port) => distributor.route(flow(port), true, undefined, 0));
    expect(targets).deep.equal([1, 1, 1, 1, 1, 1]);
  });

  it('takes one DVIPA from a target, with its connections, and leaves it the others', () => {
    const other = addr('203.0.113.20');
    const distributor = distributorOf([0, 1]);
    distributor.setDvipa(other);
    for (const target of [0, 1]) distributor.addTarget(other, target);
    const toOther = { ...flow(1), dvipa: other };
    expect([flow(1), flow(2), toOther].map((key) => distributor.route(key, true, undefined, 0))).deep.equal([
      0, 1, 0,
    ]);
    expect(distributor.withdraw(DVIPA, 0)).equal(1);
    expect([flow(1), flow(2), toOther].map((key) => distributor.table.lookup(key))).deep.equal([-1, 1, 0]);
    distributor.setDvipa(DVIPA, { weights: new Map([[1, 2]]) });
    expect([distributor.targetsOf(DVIPA), distributor.targetsOf(other)]).deep.equal([[1], [0, 1]]);
    distributor.removeDvipa(other);
    expect([distributor.table.size, distributor.route(toOther, true, undefined, 0)]).deep.equal([1, -1]);
  });

  it('opens a connection of a look-alike where the other peer has not the same one, as long as there is such a target', () => {
    const distributor = distributorOf([0, 1, 2], 100, [1, 2, 3, 4]);
    const open = (group: number, eligible?: ReadonlySet<number>) =>
      distributor.route(flow(1, group), true, eligible, 0);
    for (const port of [7, 8, 9]) distributor.route(flow(port, 9), true, undefined, 0);
    expect(open(1)).equal(0);
    for (const port of [7, 8]) distributor.confirm(flow(port, 8), port - 6, 0); // it is 0's turn again
    expect(open(2)).not.equal(0);
    const third = open(3);
    expect(new Set([open(1), open(2), third]).size).equal(3);
    expect(open(4)).within(0, 2);
    expect([1, 2, 3].map((group) => open(group))).deep.equal([0, open(2), third]);
    // Others are not asked, and what is not eligible is no way out.
    expect(distributor.route(flow(1, 9), true, new Set([0]), 0)).equal(0);
    const both = distributorOf([0, 1], 100, [1, 2]);
    expect([1, 2].map((group) => both.route(flow(1, group), true, new Set([1]), 0))).deep.equal([1, 1]);
  });

  it('has no target for a DVIPA without targets, or for another address', () => {
    expect(distributorOf([]).route(flow(1), true, undefined, 0)).equal(-1);
    expect(distributorOf([0]).route({ ...flow(1), dvipa: addr('203.0.113.11') }, true, undefined, 0)).equal(
      -1,
    );
  });
});
