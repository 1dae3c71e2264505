import { expect } from 'chai';
import { leaseOf, PortLeases, type SourcePorts } from '../../src/connections/port-leases.ts';
import { distributorOf, DVIPA, flow, shares, tcpPorts } from './distributor-bench.ts';

const PORTS: SourcePorts = { from: 40_000, to: 40_029, block: 10 };
const TARGETS = [0, 1, 2];
const answerTo = (port: number, more = {}) => flow(80, { destinationPort: port, ...more });

describe('leases of source ports', () => {
  it('each target has one block, and together they have the range', () => {
    expect(TARGETS.map((target) => leaseOf(PORTS, target))).deep.equal([
      { from: 40_000, to: 40_009 },
      { from: 40_010, to: 40_019 },
      { from: 40_020, to: 40_029 },
    ]);
    expect(leaseOf(PORTS, 3)).equal(undefined);
    expect(leaseOf({ ...PORTS, to: 40_028 }, 2), 'a block that is not whole').equal(undefined);
  });

  it('a port is one target’s, of TCP and UDP and of a DVIPA that it serves', () => {
    const leases = new PortLeases();
    leases.set(DVIPA, PORTS, [0, undefined, 2]);
    const at = [39_999, 40_000, 40_009, 40_010, 40_019, 40_020, 40_029, 40_030];
    for (const protocol of [6, 17]) {
      expect(at.map((port) => leases.lesseeOf(answerTo(port, { protocol })))).deep.equal([
        -1, 0, 0, -1, -1, 2, 2, -1,
      ]);
    }
    expect(leases.lesseeOf(answerTo(40_000, { protocol: 1 })), 'ICMP').equal(-1);
    expect(leases.lesseeOf(answerTo(40_000, { dvipa: flow(1).source })), 'no DVIPA').equal(-1);
  });
});

describe('distribution of what answers a target', () => {
  const leased = (targets: readonly number[] = TARGETS) =>
    distributorOf({ targets: TARGETS, sourcePorts: PORTS }, targets);

  it('a packet to a leased port goes to the lessee, though nobody has told of the connection', () => {
    const distributor = leased();
    for (let port = 40_000; port <= 40_029; port++) {
      const target = Math.floor((port - 40_000) / 10);
      for (const isOpening of [false, true])
        expect(distributor.route(answerTo(port), isOpening, undefined, 0)).equal(target);
      expect(distributor.route(answerTo(port, { protocol: 17 }), true, undefined, 0)).equal(target);
    }
    expect(distributor.table.size, 'and leaves no trace').equal(0);
  });

  it('the connection table goes before the lease', () => {
    const distributor = leased();
    distributor.confirm(answerTo(40_000), 2, 0);
    expect(distributor.route(answerTo(40_000), false, undefined, 0)).equal(2);
  });

  it('a SYN for a port that others listen on is theirs, what answers is the lessee’s all the same', () => {
    const distributor = leased();
    distributor.setListeners(1, DVIPA, tcpPorts(40_000));
    expect(distributor.route(answerTo(40_000), true, undefined, 0, false)).equal(1);
    expect(distributor.route(answerTo(40_000), false, undefined, 0)).equal(0);
  });

  it('without its lessee a packet goes as any other, and to it again when it is back; a drained one has its answers', () => {
    const distributor = leased();
    distributor.removeTarget(0);
    expect(distributor.route(answerTo(40_000), false, undefined, 0)).to.be.oneOf([1, 2]);
    distributor.addTarget(DVIPA, 0);
    distributor.setDraining(0, true);
    expect(distributor.route(answerTo(40_000), false, undefined, 0)).equal(0);
  });

  it('a target is believed about connections from its own ports, and not about those of others', () => {
    const distributor = leased();
    distributor.setListeners(1, DVIPA, tcpPorts(40_000));
    expect(TARGETS.map((target) => distributor.mayReport(answerTo(40_000), target, 0))).deep.equal([
      true,
      false,
      false,
    ]);
    expect(TARGETS.map((target) => distributor.mayReport(answerTo(20_000), target, 0))).deep.equal([
      true,
      true,
      true,
    ]);
  });
});

describe('flows that targets ask for', () => {
  const asked = answerTo(20_000);

  it('one target gets it, until it is over', () => {
    const distributor = distributorOf({ targets: TARGETS, sourcePorts: PORTS });
    expect(distributor.open(asked, 1, 0)).equal(true);
    expect(distributor.open(asked, 2, 0)).equal(false);
    expect(distributor.open(asked, 1, 30_000), 'asked again: kept').equal(true);
    expect(distributor.route(asked, true, undefined, 30_000)).equal(1);
    for (let i = 0; i < 20; i++) distributor.sweep(89_999);
    expect(distributor.open(asked, 2, 89_999)).equal(false);
    for (let i = 0; i < 20; i++) distributor.sweep(90_000);
    expect(distributor.open(asked, 2, 90_000)).equal(true);
  });

  it('in the table it is in nobody else’s way, and nobody else can have it', () => {
    const { table } = distributorOf({ targets: TARGETS });
    table.addTentative(flow(1), 2, 0);
    table.confirm(flow(2), 2, 0);
    expect([1, 2].map((port) => table.open(flow(port), 1, 0))).deep.equal([false, false]);
    expect([1, 2].map((port) => table.open(flow(port), 2, 0))).deep.equal([true, true]);
    expect([1, 2, 3].map((port) => table.isOpening(flow(port)))).deep.equal([true, false, false]);
    expect(table.open(asked, 1, 0)).equal(true);
    expect(table.open(asked, 2, 0)).equal(false);
    expect(table.lookup(asked)).equal(1);
    expect([table.tentativeCount, table.confirmedCount]).deep.equal([0, 3]);
  });

  it('it is confirmed by its own target, takes no turn, and stays for as long as any', () => {
    const distributor = distributorOf({ targets: TARGETS });
    for (let port = 1; port <= 30; port++) {
      const key = answerTo(port);
      expect(distributor.open(key, 0, 0)).equal(true);
      expect(distributor.confirm(key, 1, 0)).equal('refused');
      expect(distributor.confirm(key, 0, 0)).equal('new');
    }
    expect(shares(distributor, 9, { protocol: 6 }).slice(0, 3)).deep.equal([3, 3, 3]);
    for (let i = 0; i < 20; i++) distributor.sweep(800_000);
    expect(distributor.route(answerTo(1), false, undefined, 800_000)).equal(0);
  });

  it('none from a port that is leased to another, or that another listens on', () => {
    const distributor = distributorOf({ targets: TARGETS, sourcePorts: PORTS });
    expect(distributor.open(answerTo(40_010), 0, 0)).equal(false);
    distributor.setListeners(1, DVIPA, tcpPorts(443));
    expect(distributor.open(answerTo(443), 0, 0)).equal(false);
    expect(distributor.open(answerTo(443), 1, 0)).equal(true);
  });

  it('a target may have a sixteenth of the table asked for, and no more', () => {
    const distributor = distributorOf({ targets: TARGETS });
    const granted = (target: number) => {
      let count = 0;
      for (let i = 1; i <= 1100; i++)
        if (distributor.open(answerTo(i, { group: target + 1 }), target, 0)) count++;
      return count;
    };
    expect([granted(0), granted(1)]).deep.equal([1024, 1024]);
    for (let i = 1; i <= 100; i++) distributor.confirm(answerTo(i, { group: 1 }), 0, 0);
    expect(distributor.open(answerTo(5000), 0, 0), 'what is open counts no more').equal(true);
    distributor.removeTarget(1);
    expect(granted(1)).equal(1024);
  });
});
