import { expect } from 'chai';
import type { WarningName } from '../../src/observe/health.ts';
import { saIdOf } from '../../src/agents/plugin-sa.ts';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { addr, DVIPA } from '../support/inner-packets.ts';
import { connection } from './cluster-helpers.ts';
import { forgedSegments } from './opening-helpers.ts';

/** Failures that docs/operations.md names, and that take minutes or luck to cause with real hosts. */
describe('health of an agent', () => {
  const ofRouter = (cluster: MemoryCluster): WarningName[] =>
    cluster.router.answers.status().health.warnings.map(({ name }) => name);

  async function setUp() {
    const cluster = new MemoryCluster();
    await cluster.up();
    for (let i = 0; i < 2; i++) await connection(cluster);
    expect(ofRouter(cluster)).to.deep.equal([]);
    return cluster;
  }

  it('is sas-attacked while packets of an SA are forged in masses, and no longer', async () => {
    const cluster = await setUp();
    for (const datagram of forgedSegments(cluster, 10, 100)) cluster.send(datagram);
    await cluster.run(20);
    expect(ofRouter(cluster)).to.deep.equal(['sas-attacked']);
    await cluster.run(4000, 50);
    expect(ofRouter(cluster)).to.deep.equal([]);
    cluster.close();
  });

  it('is verification-short for a minute after the budget did not do', async () => {
    const cluster = await setUp();
    cluster.router.host.budget.perSecond = 100;
    for (let first = 10; first < 1000; first += 200) {
      for (const datagram of forgedSegments(cluster, first, 200)) cluster.send(datagram);
      await cluster.run(20);
    }
    await cluster.run(50);
    expect(ofRouter(cluster)).to.include('verification-short');
    await cluster.run(61_000, 500);
    expect(ofRouter(cluster)).to.deep.equal([]);
    cluster.close();
  });

  it('is sas-without-numbers while what was stored of an outbound SA is lost, until it is rekeyed', async () => {
    const cluster = await setUp();
    cluster.killRouter();
    const { charon } = cluster;
    await charon.statePort.putSa(saIdOf(charon.instance, charon.pairs[0]?.idOut ?? ''), Buffer.from('lost'));
    cluster.startRouter();
    expect(ofRouter(cluster)).to.include('sas-without-numbers');
    await cluster.run(5000, 5);
    expect(ofRouter(cluster)).to.deep.equal([]);
    expect(cluster.rekeys).to.include('marks-lost out');
    cluster.close();
  });

  it('is connections-full before the table is full', async () => {
    const cluster = await setUp();
    const { table } = cluster.router.distributor;
    const key = { ...newConnectionKey(), dvipa: addr(DVIPA), group: 1, protocol: 6, destinationPort: 80 };
    for (let i = 0; table.size < (table.capacity * 7) / 8; i++) {
      key.source.set([0, 0, 0xffff, 0x0a010000 + (i >> 14)]);
      table.confirm({ ...key, sourcePort: i & 0x3fff }, 0, cluster.clock.now());
    }
    expect(ofRouter(cluster)).to.deep.equal([]);
    table.confirm({ ...key, sourcePort: 65_535 }, 0, cluster.clock.now());
    expect(ofRouter(cluster)).to.deep.equal(['connections-full']);
    table.removeTarget(0);
    expect(ofRouter(cluster)).to.deep.equal([]);
    cluster.close();
  });

  it('is receive-overrun for a minute after the kernel lost packets for want of time, on either host', async () => {
    const cluster = await setUp();
    const target = cluster.target(1);
    const names = () => [ofRouter(cluster), target.answers.status().health.warnings.map(({ name }) => name)];
    for (const { drops } of [cluster.router, target]) drops.count('receive-overrun', 3);
    await cluster.run(100);
    expect(names()).to.deep.equal([['receive-overrun'], ['receive-overrun']]);
    await cluster.run(61_000, 500);
    expect(names()).to.deep.equal([[], []]);
    cluster.close();
  });
});
