import { expect } from 'chai';
import { filterSnapshot } from '../../src/agents/filter-snapshot.ts';
import type { FilterMode } from '../../src/dataplane/inbound-filter.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';
import { connection, drops } from './cluster-helpers.ts';

/** The client opens connections to port 80. */
const DENY_WEB = { action: 'deny', protocol: 'tcp', ports: { from: 80, to: 80 } } as const;
const REQUIRE_IPSEC = { action: 'require-ipsec', protocol: 'any', ports: { from: 0, to: 65_535 } } as const;

/** Packets of SAs by rule, the last number being those that no rule matched; by host. */
function counts(cluster: MemoryCluster): Record<string, number[]> {
  const hosts = [
    ['router', cluster.router.cluster.dvipas.values(), 'filter'] as const,
    ...cluster.targets.map(({ host, cache }) => [host, cache.services, 'bypass'] as const),
  ];
  return Object.fromEntries(
    hosts.map(([host, dvipas, hereIn]) => {
      const [filter] = Array.from(dvipas, (dvipa) => filterSnapshot(dvipa, hereIn));
      return [host, [...(filter?.rules ?? []), filter?.unmatched].map((rule) => rule?.ipsecPackets ?? -1)];
    }),
  );
}

async function clusterWith(inboundFilter: FilterMode, rules: readonly object[]): Promise<MemoryCluster> {
  const cluster = new MemoryCluster({ targets: 2, dvipa: { inboundFilter, rules: rules as [] } });
  await cluster.up();
  return cluster;
}

describe('inbound filter in a cluster', () => {
  it('mode filter: the routing host refuses, and counts by rule', async () => {
    const cluster = await clusterWith('filter', [DENY_WEB, REQUIRE_IPSEC]);
    expect((await connection(cluster)).at).to.equal(0);
    expect(drops(cluster)).to.deep.equal({ filter: 1 });
    expect(counts(cluster)).to.deep.equal({ router: [1, 0, 0], target1: [0, 0, 0], target2: [0, 0, 0] });
  });

  it('mode bypass: the target refuses by the same rules, which came with the DVIPA, and counts', async () => {
    const cluster = await clusterWith('bypass', [DENY_WEB, REQUIRE_IPSEC]);
    expect((await connection(cluster)).at).to.equal(0);
    expect(drops(cluster)).to.deep.equal({});
    expect(counted((cluster.targets[0] as (typeof cluster.targets)[number]).drops)).to.deep.equal({
      filter: 1,
    });
    expect(counts(cluster)).to.deep.equal({ router: [0, 0, 0], target1: [1, 0, 0], target2: [0, 0, 0] });
  });

  it('require-ipsec lets pass what came through an SA, in both modes', async () => {
    for (const mode of ['filter', 'bypass'] as const) {
      const cluster = await clusterWith(mode, [REQUIRE_IPSEC, DENY_WEB]);
      expect((await connection(cluster)).at, mode).to.be.greaterThan(0);
    }
  });

  it('counts on over a new session with the same target', async () => {
    const cluster = await clusterWith('bypass', [REQUIRE_IPSEC]);
    const { at } = await connection(cluster);
    const before = counts(cluster)[`target${at}`];
    cluster.cut(at);
    await cluster.run(100);
    expect(cluster.target(at).relations.session).to.not.equal(undefined);
    expect(before).to.deep.equal([1, 0]);
    expect(counts(cluster)[`target${at}`]).to.deep.equal(before);
  });

  it('counts under `unmatched` what passes for want of rules', async () => {
    const cluster = await clusterWith('bypass', []);
    const { at } = await connection(cluster);
    expect(counts(cluster)[`target${at}`]).to.deep.equal([1]);
  });
});
