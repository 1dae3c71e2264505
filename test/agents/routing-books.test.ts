import { expect } from 'chai';
import type { SaSnapshot } from '../../src/observe/snapshots.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { tcp } from '../support/inner-packets.ts';
import { connection, drops, load } from './cluster-helpers.ts';

/** Where the inner TCP ports lie in ESP in UDP: behind IPv4, UDP, ESP, IV and the inner IPv4 header. */
const INNER_PORTS_AT = 20 + 8 + 8 + 8 + 20;
const TARGETS = 3;

describe('the books of a routing agent', () => {
  it('have each packet that came in once, also those that are opened here', async () => {
    const cluster = new MemoryCluster();
    await cluster.up();
    const { port } = await connection(cluster);
    const { answers } = cluster.router;
    // Whatever target the forged one goes to first, the genuine one of the same number belongs to another at least once.
    for (let i = 1; i <= TARGETS; i++) {
      const { datagram } = cluster.client(1).segment(port);
      const forged = Buffer.from(datagram);
      forged.writeUInt16BE(forged.readUInt16BE(INNER_PORTS_AT) ^ i, INNER_PORTS_AT);
      cluster.send(forged);
      cluster.send(datagram);
      await cluster.run(1);
    }
    await cluster.run(50);
    const { counters } = answers.status();
    const dropped = Object.values(drops(cluster)).reduce((sum, count) => sum + count, 0);
    expect(counters.opened).to.be.greaterThan(0);
    expect(counters.packetsIn).to.equal(counters.linkOut + dropped);
    const linkIn = cluster.targets.map(
      ({ parts }) => parts.inbound.linkPackets + parts.sealedInbound.packets,
    );
    expect(linkIn.reduce((sum, count) => sum + count, 0)).to.equal(counters.linkOut);
    const inbound = (answers.sas() as SaSnapshot[]).filter(({ direction }) => direction === 'in');
    expect(inbound.reduce((sum, { openedHere }) => sum + openedHere, 0)).to.equal(counters.opened);
    cluster.close();
  });

  for (const way of ['stamping', 'funnel'] as const) {
    it(`have what targets had sent by way of the routing host (${way}), as their own books do`, async () => {
      const cluster = new MemoryCluster({ stamping: way === 'stamping' ? 'on' : 'off' });
      await cluster.up();
      const [one, two] = [await connection(cluster), await connection(cluster)];
      for (let i = 0; i < 30; i++) for (const { port } of [one, two]) await load(cluster, port, 1);
      await cluster.run(50);
      const router = cluster.router.answers.status().counters;
      const targets = cluster.targets.map(({ answers }) => answers.status().counters);
      const sum = (of: 'linkOut' | 'sealed' | 'packetsOut') =>
        targets.reduce((all, counters) => all + counters[of], 0);
      expect(router.linkIn).to.equal(sum('linkOut')).and.to.be.greaterThan(40);
      expect(router.packetsOut).to.equal(sum('linkOut'));
      expect(router.bytesOut).to.be.greaterThan(40 * router.packetsOut);
      expect(router.sealed + sum('sealed')).to.equal(router.packetsOut + sum('packetsOut'));
      expect(router.sealed).to.equal(way === 'stamping' ? 0 : router.packetsOut);
      cluster.close();
    });
  }

  it('have what came in clear and went on', async () => {
    const rules = [{ action: 'permit', protocol: 'tcp', ports: { from: 80, to: 80 } }] as const;
    const cluster = new MemoryCluster({ dvipa: { clearText: 'distribute', rules } });
    await cluster.up();
    const before = cluster.router.answers.status().counters;
    for (const destinationPort of [80, 81]) {
      cluster.sendInClear(tcp({ source: '192.0.2.200', data: 'in clear', destinationPort }));
    }
    await cluster.run(20);
    const { packetsIn, linkOut } = cluster.router.answers.status().counters;
    expect([packetsIn - before.packetsIn, linkOut - before.linkOut]).to.deep.equal([2, 1]);
    expect(drops(cluster)).to.deep.equal({ clear: 1 });
    cluster.close();
  });
});
