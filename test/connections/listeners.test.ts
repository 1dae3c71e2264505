import { expect } from 'chai';
import { DispatchMemory } from '../../src/connections/dispatch-memory.ts';
import { listenerKey } from '../../src/connections/listeners.ts';
import { addr } from '../support/inner-packets.ts';
import { client, distributorOf, DVIPA, flow, open, shares, tcpPorts } from './distributor-bench.ts';

const METHODS = ['round-robin', 'weighted-active', 'server-load', 'hot-standby', 'maglev'] as const;

describe('listener awareness', () => {
  for (const distribution of METHODS) {
    it(`gives connections only to targets that listen on their port: ${distribution}`, () => {
      const distributor = distributorOf({ distribution });
      distributor.setListeners(1, DVIPA, tcpPorts(80, 443));
      distributor.setListeners(2, DVIPA, tcpPorts(443));
      expect(shares(distributor, 100)[1]).equal(100);
      const [none, first = 0, second = 0] = shares(distributor, 100, { destinationPort: 443 });
      expect([none, first + second]).deep.equal([0, 100]);
      for (let i = 0; i < 50; i++) {
        expect(
          distributor.route(client(i, { sourcePort: 7 }), true, undefined, 0, false),
          'not remembered',
        ).equal(1);
      }
    });
  }

  it('lets some kernel answer with a reset when nobody listens', () => {
    const distributor = distributorOf({});
    distributor.setListeners(1, DVIPA, tcpPorts(80));
    expect(shares(distributor, 9, { destinationPort: 81 }).slice(0, 3)).deep.equal([3, 3, 3]);
  });

  it('takes a target that has not reported for one that does not listen, also after it was lost', () => {
    const distributor = distributorOf({});
    for (const target of [0, 1]) distributor.setListeners(target, DVIPA, tcpPorts(80));
    expect(shares(distributor, 10).slice(0, 3)).deep.equal([5, 5, 0]);
    distributor.removeTarget(0);
    distributor.addTarget(DVIPA, 0);
    expect(shares(distributor, 10, {}, 10).slice(0, 3)).deep.equal([0, 10, 0]);
  });

  it('knows listeners by DVIPA and by protocol, and takes a report for the whole list', () => {
    const distributor = distributorOf({});
    distributor.setListeners(0, addr('203.0.113.11'), tcpPorts(80));
    distributor.setListeners(1, DVIPA, new Set([listenerKey(17, 80), listenerKey(6, 22)]));
    expect(shares(distributor, 9).slice(0, 3)).deep.equal([3, 3, 3]);
    distributor.setListeners(1, DVIPA, tcpPorts(80));
    expect(shares(distributor, 9, {}, 9)[1]).equal(9);
    distributor.setListeners(2, DVIPA, tcpPorts(80));
    distributor.setListeners(1, DVIPA, tcpPorts());
    expect(shares(distributor, 9, {}, 18)[2]).equal(9);
  });

  it('sends datagrams to who listens, and other protocols as ever', () => {
    const distributor = distributorOf({});
    const datagrams = (protocol: number) =>
      Array.from({ length: 50 }, (_, i) => distributor.route(client(i, { protocol }), true, undefined, 0));
    const before = datagrams(50);
    distributor.setListeners(1, DVIPA, new Set([listenerKey(17, 80)]));
    expect(new Set(datagrams(17))).deep.equal(new Set([1]));
    expect(datagrams(50)).deep.equal(before);
  });

  it('leaves a connection where it is when its target stops listening', () => {
    const distributor = distributorOf({});
    for (const target of [0, 1]) distributor.setListeners(target, DVIPA, tcpPorts(80));
    expect(open(distributor, flow(1))).equal(0);
    distributor.setListeners(0, DVIPA, tcpPorts());
    expect(distributor.route(flow(1), false, undefined, 0)).equal(0);
  });

  it('finds the target of an opening that is not remembered again for the segments that follow', () => {
    const distributor = distributorOf({});
    for (const target of [1, 2]) distributor.setListeners(target, DVIPA, tcpPorts(80));
    for (let i = 0; i < 100; i++) {
      const target = distributor.route(client(i), true, undefined, 0, false);
      expect(distributor.route(client(i), false, undefined, 0)).equal(target);
    }
  });

  it('lets a packet wait for a listener that has not acknowledged the SA yet', () => {
    const distributor = distributorOf({});
    distributor.setListeners(2, DVIPA, tcpPorts(80));
    expect(distributor.route(flow(1), true, new Set([0, 1]), 0)).equal(2);
  });

  it('lets a drained target that listens get nothing', () => {
    const distributor = distributorOf({});
    distributor.setListeners(0, DVIPA, tcpPorts(80));
    distributor.setDraining(0, true);
    expect(shares(distributor, 10).slice(0, 3)).deep.equal([0, 5, 5]);
  });
});

describe('what a target may report', () => {
  const listening = () => {
    const distributor = distributorOf({});
    for (const target of [0, 1, 2]) distributor.setListeners(target, DVIPA, tcpPorts(80));
    return distributor;
  };

  it('is a connection that the table gives it, and no other target', () => {
    const distributor = listening();
    const target = distributor.route(flow(1), true, undefined, 0);
    for (const each of [0, 1, 2]) expect(distributor.mayReport(flow(1), each, 0)).equal(each === target);
    distributor.confirm(flow(1), target, 0);
    expect(distributor.isConfirmed(flow(1))).equal(true);
    for (const each of [0, 1, 2]) expect(distributor.mayReport(flow(1), each, 9e9)).equal(each === target);
  });

  it('is one whose packets went to it by hash within the last ten seconds, and by nobody else', () => {
    const distributor = listening();
    const target = distributor.route(flow(1), false, undefined, 100_000);
    for (const each of [0, 1, 2])
      expect(distributor.mayReport(flow(1), each, 109_999)).equal(each === target);
    expect(distributor.mayReport(flow(2), target, 109_999), 'another connection').equal(false);
    expect(distributor.mayReport(flow(1), target, 120_001), 'long ago').equal(false);
  });

  it('is one from a port that nobody else listens on: its own', () => {
    const distributor = listening();
    const own = flow(80, { destinationPort: 45_000 });
    expect(distributor.mayReport(own, 1, 0)).equal(true);
    distributor.setListeners(2, DVIPA, tcpPorts(80, 45_000));
    expect(distributor.mayReport(own, 1, 0)).equal(false);
    expect(distributor.mayReport(own, 2, 0)).equal(true);
    expect(distributor.mayReport(flow(1), 1, 0), 'port 80').equal(false);
  });

  it('is none that it was sent in a life before', () => {
    const distributor = listening();
    const target = distributor.route(flow(1), false, undefined, 0);
    distributor.removeTarget(target);
    expect(distributor.mayReport(flow(1), target, 1)).equal(false);
  });

  it('takes no turn from the others with connections that it opened itself', () => {
    const distributor = listening();
    for (let i = 0; i < 30; i++) distributor.confirm(client(i, { destinationPort: 45_000 }), 0, 0);
    expect(shares(distributor, 30).slice(0, 3)).deep.equal([10, 10, 10]);
  });
});

describe('memory of dispatches', () => {
  it('keeps a dispatch for ten seconds at least and twenty at most', () => {
    for (const phase of [0, 1, 5000, 9999]) {
      const memory = new DispatchMemory();
      memory.turn(100_000);
      memory.note(3, 0xdeadbeef, 100_000 + phase);
      expect(memory.has(3, 0xdeadbeef, 100_000 + phase + 9999)).equal(true);
      expect(memory.has(2, 0xdeadbeef, 100_000 + phase)).equal(false);
      expect(memory.has(3, 0xdeadbeef, 120_000 + phase)).equal(false);
    }
  });

  it('forgets everything after a pause', () => {
    const memory = new DispatchMemory();
    memory.note(0, 1, 0);
    expect(memory.has(0, 1, 60_000)).equal(false);
  });

  it('takes one of 26 other connections for one of 10 000 at most', () => {
    const memory = new DispatchMemory();
    for (let i = 0; i < 10_000; i++) memory.note(0, Math.imul(i, 0x9e3779b1) >>> 0, 0);
    let wrong = 0;
    for (let i = 0; i < 10_000; i++) if (memory.has(0, Math.imul(i, 0x85ebca6b) >>> 0, 0)) wrong++;
    expect(wrong).lessThan(10_000 / 26);
  });
});
