import { expect } from 'chai';
import type { DistributionName } from '../../src/connections/service.ts';
import { client, distributorOf, DVIPA, flow, open, shares } from './distributor-bench.ts';

const ALL: readonly DistributionName[] = [
  'round-robin',
  'weighted-active',
  'server-load',
  'hot-standby',
  'maglev',
];
const CONNECTIONS = 10_000;
const WEIGHTS = new Map([
  [0, 1],
  [1, 2],
  [2, 5],
]);

/** Within 5 % of the weights. */
function expectShares(got: readonly number[], weights: readonly number[]) {
  const sum = weights.reduce((a, b) => a + b, 0);
  const all = got.reduce((a, b) => a + b, 0);
  for (const [target, weight] of weights.entries()) {
    const want = (all * weight) / sum;
    expect(got[target], `target ${target} of ${got.join()}`).within(want * 0.95, want * 1.05);
  }
}

describe('every distribution method', () => {
  for (const distribution of ALL) {
    it(`gives a drained target nothing, and its share again when it is back: ${distribution}`, () => {
      const distributor = distributorOf({ distribution });
      distributor.setDraining(0, true);
      const drained = shares(distributor, 300);
      expect(drained[0]).equal(0);
      expect(drained[1], 'the others have it').greaterThan(0);
      distributor.setDraining(0, false);
      expect(shares(distributor, 300, {}, 300)[0]).greaterThan(80);
    });

    it(`gives a lost target nothing, neither new connections nor segments: ${distribution}`, () => {
      const distributor = distributorOf({ distribution });
      shares(distributor, 300);
      distributor.removeTarget(0);
      expect(shares(distributor, 300, {}, 300)[0]).equal(0);
      for (let i = 0; i < 300; i++) expect(distributor.route(client(i), false, undefined, 0)).not.equal(0);
    });

    it(`gives nothing to targets that are not configured for the service: ${distribution}`, () => {
      const services = [{ protocol: 6, port: 443, targets: [2], distribution }];
      const distributor = distributorOf({ distribution, targets: [0, 1, 2], services }, [0, 1, 2, 3]);
      expect(shares(distributor, 300)[3]).equal(0);
      expect(shares(distributor, 300, { destinationPort: 443 })[2], 'port 443').equal(300);
    });

    it(`has no target when nobody is there: ${distribution}`, () => {
      const distributor = distributorOf({ distribution }, [1]);
      expect(open(distributor, flow(1))).equal(1);
      distributor.removeTarget(1);
      for (const opens of [true, false]) expect(distributor.route(flow(1), opens, undefined, 0)).equal(-1);
    });

    it(`makes no entry where nothing may be remembered, and finds the same target again: ${distribution}`, () => {
      const distributor = distributorOf({ distribution });
      for (let i = 0; i < 100; i++) {
        const target = distributor.route(client(i), true, undefined, 0, false);
        expect(distributor.route(client(i), false, undefined, 0)).equal(target);
      }
      expect(distributor.table.size).equal(0);
    });
  }
});

describe('round robin', () => {
  it('shares out new connections by the weights', () => {
    expectShares(shares(distributorOf({ distribution: 'round-robin' }), CONNECTIONS), [1, 1, 1]);
    expectShares(shares(distributorOf({ weights: WEIGHTS }), CONNECTIONS), [1, 2, 5]);
  });

  it('shares them out while they are tentative as well', () => {
    const distributor = distributorOf({ weights: WEIGHTS });
    const got = [0, 0, 0];
    for (let i = 0; i < 160; i++) {
      const target = distributor.route(flow(i), true, undefined, 0);
      got[target] = (got[target] ?? 0) + 1;
    }
    expect(got).deep.equal([20, 40, 100]);
  });

  it('gives a target that was drained for long its share, not what it has missed', () => {
    const distributor = distributorOf({});
    distributor.setDraining(2, true);
    shares(distributor, 3000);
    distributor.setDraining(2, false);
    expectShares(shares(distributor, 300, {}, 3000), [1, 1, 1]);
  });

  it('owes nothing to a target that did not listen for long, once it does', () => {
    const distributor = distributorOf({});
    for (const target of [0, 1]) distributor.setListeners(target, DVIPA, new Set([(6 << 16) | 80]));
    expectShares(shares(distributor, 3000), [1, 1]);
    distributor.setListeners(2, DVIPA, new Set([(6 << 16) | 80]));
    expectShares(shares(distributor, 300, {}, 3000), [1, 1, 1]);
  });

  it('makes up a bounded number of connections for a target that did not have the SAs', () => {
    const distributor = distributorOf({});
    for (let i = 0; i < 9000; i++) {
      const target = distributor.route(client(i), true, new Set([0, 1]), 0);
      distributor.confirm(client(i), target, 0);
    }
    const got = shares(distributor, 6000, {}, 9000);
    expect(got[2]).within(2000 + 1000, 2000 + 1400);
  });

  it('is not shifted in the long run by forged openings that never become connections', () => {
    for (const weights of [new Map<number, number>(), WEIGHTS]) {
      const distributor = distributorOf({ weights });
      const got = [0, 0, 0];
      let now = 0;
      for (let i = 0; i < 3000; i++) {
        now += 20;
        if (i % 50 === 0) distributor.table.sweep(now, 2 ** 15);
        // As many as the quota takes, and all that go where the attacker's own SA can be served: on target 0.
        for (let forged = 0; forged < 3; forged++) {
          distributor.route(client(3 * i + forged, { group: 666 }), true, new Set([0]), now);
        }
        const target = open(distributor, client(i), now);
        got[target] = (got[target] ?? 0) + 1;
      }
      // What is displaced at the end is a quota of tentative entries at most.
      const [first = 0, second = 0, third = 0] = got;
      const parts = [0, 1, 2].map((target) => weights.get(target) ?? 1);
      const sum = parts.reduce((a, b) => a + b, 0);
      for (const [target, share] of [first, second, third].entries())
        expect(share, got.join()).within(
          (3000 * (parts[target] as number)) / sum - 256,
          (3000 * (parts[target] as number)) / sum + 256,
        );
      // When they have expired, the displaced ones are made up for.
      now += 5000;
      distributor.table.sweep(now, 2 ** 15);
      for (let i = 3000; i < 7000; i++) {
        const target = open(distributor, client(i), now);
        got[target] = (got[target] ?? 0) + 1;
      }
      expect(got[0]).within((7000 * (parts[0] as number)) / sum - 2, (7000 * (parts[0] as number)) / sum + 2);
    }
  });
});

describe('server load', () => {
  it('shares out new connections by what the targets have left', () => {
    const distributor = distributorOf({ distribution: 'server-load' });
    distributor.setLoad(0, 900);
    distributor.setLoad(1, 600);
    distributor.setLoad(2, 500);
    expectShares(shares(distributor, CONNECTIONS), [100, 400, 500]);
  });

  it('leaves a target that is full a thousandth, and takes one that says nothing for idle', () => {
    const distributor = distributorOf({ distribution: 'server-load' }, [0, 1]);
    distributor.setLoad(0, 1000);
    const got = shares(distributor, CONNECTIONS);
    expect(got[0]).within(9, 11);
  });

  it('multiplies given weights', () => {
    const distributor = distributorOf({ distribution: 'server-load', weights: WEIGHTS });
    distributor.setLoad(2, 800);
    expectShares(shares(distributor, CONNECTIONS), [1, 2, 1]);
  });

  it('follows the load, and forgets it with the target', () => {
    const distributor = distributorOf({ distribution: 'server-load' });
    distributor.setLoad(0, 1000);
    expect(shares(distributor, 1000)[0]).lessThan(3);
    distributor.setLoad(0, 0);
    expectShares(shares(distributor, 3000, {}, 1000), [1, 1, 1]);
    distributor.setLoad(0, 1000);
    distributor.removeTarget(0);
    distributor.addTarget(DVIPA, 0);
    expectShares(shares(distributor, 3000, {}, 4000), [1, 1, 1]);
  });
});

describe('weighted active connections', () => {
  it('holds open connections to the weights while they end steadily', () => {
    const distributor = distributorOf({ distribution: 'weighted-active', weights: WEIGHTS });
    const got = [0, 0, 0];
    for (let i = 0; i < CONNECTIONS; i++) {
      const target = open(distributor, client(i));
      got[target] = (got[target] ?? 0) + 1;
      const oldest = i - 400;
      if (oldest >= 0) distributor.close(client(oldest), distributor.table.lookup(client(oldest)), 0);
    }
    expectShares(got, [1, 2, 5]);
  });

  it('gives fewer to a target whose connections last longer', () => {
    const distributor = distributorOf({ distribution: 'weighted-active' }, [0, 1]);
    const got = [0, 0];
    for (let i = 0; i < 1000; i++) {
      const target = open(distributor, client(i));
      got[target] = (got[target] ?? 0) + 1;
      if (target === 1) distributor.close(client(i), 1, 0);
    }
    expect(got[0]).within(1, 2);
  });

  it('counts promises, and forgets them with their entries', () => {
    const distributor = distributorOf({ distribution: 'weighted-active' }, [0, 1]);
    for (let i = 0; i < 10; i++) distributor.route(flow(i), true, new Set([0]), 0);
    for (let i = 10; i < 20; i++) expect(open(distributor, flow(i))).equal(1);
    distributor.table.sweep(5000, 2 ** 15);
    for (let i = 20; i < 30; i++) expect(open(distributor, flow(i), 5000)).equal(0);
  });
});

describe('hot standby', () => {
  const order = { distribution: 'hot-standby', targets: [2, 0, 1] } as const;

  it('gives everything to the first of the configured order, of every protocol', () => {
    const distributor = distributorOf(order);
    expect(shares(distributor, CONNECTIONS)[2]).equal(CONNECTIONS);
    for (const protocol of [17, 1, 50]) {
      expect(distributor.route(flow(1, { protocol }), protocol === 17, undefined, 0)).equal(2);
    }
  });

  it('goes to the next when it is lost or drained, and switches back', () => {
    const distributor = distributorOf(order);
    distributor.removeTarget(2);
    expect(open(distributor, flow(1))).equal(0);
    distributor.setDraining(0, true);
    expect(open(distributor, flow(2))).equal(1);
    distributor.setDraining(0, false);
    expect(open(distributor, flow(3))).equal(0);
    distributor.addTarget(DVIPA, 2);
    expect(open(distributor, flow(4))).equal(2);
  });

  it('stays where it is without switch_back, until that target goes', () => {
    const distributor = distributorOf({ ...order, switchBack: false }, [2, 0, 1]);
    distributor.removeTarget(2);
    distributor.addTarget(DVIPA, 2);
    expect(open(distributor, flow(1))).equal(0);
    distributor.removeTarget(0);
    expect(open(distributor, flow(2))).equal(2);
  });

  it('is not moved by a packet that the active target cannot have', () => {
    for (const switchBack of [true, false]) {
      const distributor = distributorOf({ ...order, switchBack }, [2, 0, 1]);
      expect(distributor.route(flow(1), true, new Set([0, 1]), 0)).equal(0);
      expect(distributor.route(flow(2), true, undefined, 0)).equal(2);
    }
  });
});

describe('Maglev as a method', () => {
  it('shares out new connections by the weights', () => {
    expectShares(shares(distributorOf({ distribution: 'maglev' }), CONNECTIONS), [1, 1, 1]);
    expectShares(shares(distributorOf({ distribution: 'maglev', weights: WEIGHTS }), CONNECTIONS), [1, 2, 5]);
  });

  it('sends a connection where its segments go without an entry', () => {
    const distributor = distributorOf({ distribution: 'maglev' });
    for (let i = 0; i < 200; i++) {
      const target = distributor.route(client(i), false, undefined, 0);
      expect(open(distributor, client(i))).equal(target);
    }
  });
});

describe('a service of a port', () => {
  const distributor = distributorOf({
    services: [
      { protocol: 6, port: 443, distribution: 'hot-standby', targets: [1, 2] },
      { protocol: 17, port: 53, distribution: 'round-robin' },
    ],
  });

  it('is distributed in its own way, and the rest of the DVIPA is not', () => {
    expect(shares(distributor, 30, { destinationPort: 443 })[1]).equal(30);
    expect(shares(distributor, 30).slice(0, 3)).deep.equal([10, 10, 10]);
    expect(shares(distributor, 30, { protocol: 17, destinationPort: 443 })[1], 'UDP').lessThan(30);
  });

  it('gives datagrams to targets by its method, when it is one of UDP', () => {
    expect(shares(distributor, 30, { protocol: 17, destinationPort: 53 }).slice(0, 3)).deep.equal([
      10, 10, 10,
    ]);
  });

  it('leaves no trace of datagrams elsewhere', () => {
    const { size } = distributor.table;
    for (let i = 0; i < 30; i++)
      distributor.route(client(i, { protocol: 17, destinationPort: 99 }), true, undefined, 0);
    expect(distributor.table.size).equal(size);
  });
});
