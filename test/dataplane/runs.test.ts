import { expect } from 'chai';
import * as fc from 'fast-check';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { FlowTracker } from '../../src/connections/flow-tracker.ts';
import { classify } from '../../src/dataplane/classify.ts';
import { readFlowKey } from '../../src/dataplane/flow-key.ts';
import { CommittedNumbers } from '../../src/dataplane/replay-reports.ts';
import type { PacketVector } from '../../src/dataplane/vector.ts';
import type { SaId } from '../../src/ipsec/sa.ts';
import { outcomes, vectorOf } from '../support/dataplane-parts.ts';
import { policyFor } from '../support/test-sas.ts';
import { OutboundBench } from './outbound-bench.ts';
import { RoutingBench } from './routing-bench.ts';
import { innerPackets, Peers, ReusedVector, sasOf, vectors } from './run-packets.ts';
import { TargetBench } from './target-bench.ts';

const ANY = { fromPort: 0, toPort: 65_535, sourceNetwork: 0, sourceMask: 0 };
const RULES = [
  { ...ANY, action: 'deny' as const, protocol: 0, fromPort: 81, toPort: 81 },
  { ...ANY, action: 'permit' as const, protocol: 0 },
];
const NUM_RUNS = 60;
const SEED = Buffer.alloc(8, 3);

const ESP_COLUMNS = ['verdict', 'length', 'family', 'outerSourcePort', 'outerDestinationPort'] as const;
const KEPT_COLUMNS = ['spi', 'sequenceLow', 'sequenceHigh', 'espLength'] as const;

/** What became of each packet, and what went on. */
const fate = (vector: PacketVector) => ({
  outcomes: outcomes(vector),
  saSlot: [...vector.saSlot.subarray(0, vector.count)],
});

/** A flow tracker, fed as a target's is. */
class Flows {
  readonly tracker = new FlowTracker({ seed: SEED, maxFlows: 8 });
  readonly #key = newConnectionKey();

  observe(vector: PacketVector, i: number, isInbound: boolean, group: number): boolean {
    const key = readFlowKey(this.#key, vector, i, isInbound, group);
    return this.tracker.observe(key, vector.tcpFlags[i] as number, isInbound, 1000);
  }

  /** All that it knows. */
  state() {
    const { size, overflow } = this.tracker;
    const events = this.tracker.take(1000);
    this.tracker.sweep(2000, 8); // those that were used since they were listed are told once more
    return { size, overflow, events, after: this.tracker.take(1000), open: [...this.tracker.flows()] };
  }
}

class RoutingSide {
  readonly bench = new RoutingBench();
  readonly vector: ReusedVector;
  readonly sas;

  constructor(knowsRuns: boolean) {
    this.vector = new ReusedVector(knowsRuns);
    const [first, second, third] = sasOf('in');
    const filtered = { filterMode: 'filter' as const, rules: RULES };
    this.sas = [
      this.bench.install(first as never, filtered),
      this.bench.install(second as never, { ...filtered, serving: [1], isFallbackReady: true }),
      this.bench.install(third as never, { serving: [0, 2] }),
    ];
  }

  run(datagrams: readonly Buffer[]) {
    const { bench, sas } = this;
    const vector = this.vector.fill(datagrams);
    bench.inbound.run(vector, bench.now);
    const dispatched = bench.link.take();
    const given = sas.map(({ given: traffic }) =>
      [0, 1, 2].map((target) => traffic.cap(target, { packets: 1e9, bytes: 1e9 })),
    );
    return {
      ...fate(vector),
      dispatched,
      given,
      rules: sas.map(({ dvipa }) => [0, 1, 2].map((rule) => dvipa.filter.countOf(rule))),
      moved: sas.map(({ owners }) => owners.moved(0, vector.sequenceLow[0] as number, 0, 1)),
      connections: bench.distributor.table.size,
      drops: bench.drops.toJSON(),
      claims: [...bench.claims],
      opened: sas.map(({ openedHere }) => openedHere),
    };
  }

  /** Targets report all that they were given; then some of it is forged in masses. */
  settle(numbers: readonly number[], isAttacked: boolean) {
    const committed = new CommittedNumbers('' as SaId);
    for (const number of numbers) committed.add(0, number);
    const packed = committed.take();
    const outcome = this.sas.map(({ owners }) =>
      [0, 1, 2].map((target) => owners.reported(target, packed, 0)),
    );
    if (isAttacked) this.sas[0]?.suspicion.wrong(100, this.bench.now);
    return { outcome, tops: this.sas.map(({ owners }) => owners.snapshot()) };
  }
}

class TargetSide {
  readonly bench = new TargetBench();
  readonly flows = new Flows();
  readonly vector: ReusedVector;
  readonly sas;

  constructor(knowsRuns: boolean) {
    this.vector = new ReusedVector(knowsRuns);
    const { bench } = this;
    bench.onAuthenticated = (vector, i, group) => void this.flows.observe(vector, i, true, group);
    this.sas = sasOf('in').map((sa) =>
      bench.install(sa, { rules: RULES, credit: { bytes: 1e9, packets: 20 } }),
    );
  }

  run(datagrams: readonly Buffer[]) {
    const { bench, sas } = this;
    const vector = this.vector.fill(datagrams);
    bench.inbound.run(vector, bench.epoch, bench.epoch, bench.addresses, bench.floor);
    return {
      ...fate(vector),
      delivered: bench.tun.take(),
      touched: sas.map((sa) => bench.inbound.touched.countOf(sa)),
      reports: sas.map(({ committed }) => committed.take()),
      windows: sas.map(({ window }) => window.snapshot()),
      meters: sas.map(({ meter }) => [meter.packets, meter.bytes, meter.refused]),
      rules: sas.map(({ dvipa }) => [0, 1, 2].map((rule) => dvipa.filter.countOf(rule))),
      wrongIcvs: sas.map((sa) => sa.wrongIcvs),
      drops: bench.drops.toJSON(),
      moved: [...bench.moved],
    };
  }
}

class OutboundSide {
  readonly bench = new OutboundBench();
  readonly flows = new Flows();
  readonly vector: ReusedVector;
  readonly sas;

  constructor(knowsRuns: boolean) {
    this.vector = new ReusedVector(knowsRuns);
    const { bench } = this;
    bench.onOutbound = (vector, i, { sa }) => this.flows.observe(vector, i, false, sa.group);
    this.sas = sasOf('out').map((sa, n) => {
      const entry = bench.install(sa, {
        credit: { bytes: 1e9, packets: 20 },
        senderId: n + 1,
        hasPolicy: false,
      });
      bench.sad.installPolicy(policyFor(sa, { spi: sa.spi }));
      return entry;
    });
  }

  run(packets: readonly Buffer[]) {
    const { bench, sas } = this;
    for (const [n, entry] of sas.entries()) {
      // Never enough for all: packets wait.
      entry.holder.take(1, bench.now);
      bench.grant(entry, 1 + (entry.holder.lease?.end ?? 1), 10, n + 1);
    }
    const vector = this.vector.fill(packets);
    bench.outbound.run(vector, bench.now);
    return {
      ...fate(vector),
      sent: bench.raw.take(),
      numbers: sas.map(({ holder, iv }) => [holder.lease?.next, iv?.last]),
      meters: sas.map(({ meter }) => [meter.packets, meter.bytes, meter.refused]),
      drops: bench.drops.toJSON(),
      asked: [...bench.asked],
    };
  }
}

describe('runs of packets', () => {
  const addresses = new TargetBench().addresses;

  it('are classified as each of their packets alone is', () => {
    fc.assert(
      fc.property(vectors, (given) => {
        const peers = new Peers();
        const reused = new ReusedVector(true);
        for (const alike of given) {
          const datagrams = peers.datagrams(alike);
          const vector = reused.fill(datagrams);
          classify(vector, addresses);
          for (const [i, datagram] of datagrams.entries()) {
            const alone = vectorOf(datagram);
            classify(alone, addresses);
            for (const column of ESP_COLUMNS) expect(vector[column][i], column).to.equal(alone[column][0]);
            if (alone.verdict[0] !== 0) continue;
            for (const column of KEPT_COLUMNS) expect(vector[column][i], column).to.equal(alone[column][0]);
            for (const column of [
              'outerSource',
              'outerDestination',
              'innerSource',
              'innerDestination',
            ] as const)
              expect([...vector[column].subarray(4 * i, 4 * i + 4)], column).to.deep.equal([
                ...alone[column].subarray(0, 4),
              ]);
          }
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });

  it('are routed as packets one by one', () => {
    fc.assert(
      fc.property(vectors, fc.array(fc.boolean()), (given, attacks) => {
        const [fast, plain] = [new RoutingSide(true), new RoutingSide(false)];
        const peers = new Peers();
        for (const [n, alike] of given.entries()) {
          const datagrams = peers.datagrams(alike);
          expect(fast.run(datagrams)).to.deep.equal(plain.run(datagrams));
          const numbers = Array.from({ length: 40 }, (_, number) => number + 1);
          const isAttacked = attacks[n] ?? false;
          expect(fast.settle(numbers, isAttacked)).to.deep.equal(plain.settle(numbers, isAttacked));
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });

  it('reach a target as packets one by one', () => {
    fc.assert(
      fc.property(vectors, (given) => {
        const [fast, plain] = [new TargetSide(true), new TargetSide(false)];
        const peers = new Peers();
        for (const alike of given) {
          const datagrams = peers.datagrams(alike);
          expect(fast.run(datagrams)).to.deep.equal(plain.run(datagrams));
        }
        expect(fast.flows.state()).to.deep.equal(plain.flows.state());
      }),
      { numRuns: NUM_RUNS },
    );
  });

  it('leave a target as packets one by one', () => {
    fc.assert(
      fc.property(vectors, (given) => {
        const [fast, plain] = [new OutboundSide(true), new OutboundSide(false)];
        for (const alike of given)
          expect(fast.run(innerPackets(alike))).to.deep.equal(plain.run(innerPackets(alike)));
        expect(fast.flows.state()).to.deep.equal(plain.flows.state());
      }),
      { numRuns: NUM_RUNS },
    );
  });
});
