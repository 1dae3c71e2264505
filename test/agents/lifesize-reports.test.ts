import { expect } from 'chai';
import type { TargetRecord } from '../../src/coupling/records.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { answers, connection, load } from './cluster-helpers.ts';

/** Inbound lifesize reports of one target while 400 packets reach it in 400 ms, under these limits. */
async function reportsOf(hard: number): Promise<{ bytes: number }[]> {
  const cluster = new MemoryCluster({ targets: 1 });
  await cluster.up({ soft: hard / 2, hard });
  const { port } = await connection(cluster);
  await cluster.run(1100); // the periodic report of the start is over
  const [sa] = [...cluster.router.sas.inbound.values()];
  const reports: { bytes: number }[] = [];
  const { sessions } = cluster.router;
  const onRecord = sessions.onRecord.bind(sessions);
  sessions.onRecord = (session, record: TargetRecord) => {
    if (record.kind === 'lifesize-report' && record.body.sa === sa?.sa.id)
      reports.push({ bytes: record.body.bytes });
    return onRecord(session, record);
  };
  const sent = await load(cluster, port, 400);
  await cluster.run(20);
  expect(answers(cluster, sent)).to.equal(400);
  return reports;
}

describe('lifesize reports of a target', () => {
  it('are one message for many packets', async () => {
    const reports = await reportsOf(200_000);
    expect(reports.length).to.be.within(1, 10);
  });

  it('come the seldomer, the larger the lifesize: the period is a percentage of it', async () => {
    const [small, large] = [await reportsOf(100_000), await reportsOf(400_000)];
    expect(small.length).to.be.greaterThan(2 * large.length);
    const steps = small.slice(1).map(({ bytes }, i) => bytes - (small[i]?.bytes ?? 0));
    // Three quarters of a credit each: a tenth of the total, or less where the hard limit comes near.
    for (const step of steps) expect(step).to.be.within(900, 10_000);
  });
});
