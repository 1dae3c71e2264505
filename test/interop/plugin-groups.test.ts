import { expect } from 'chai';
import { Lab } from '../../src/lab/lab.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { reportMapping } from '../../src/vici/index.ts';
import { editFile, PLUGIN_LAB, PluginWatcher, startPluginLab } from '../support/plugin-lab.ts';

// Two stock clients with the same inner address: to charon both have the same reqid and the same policies.
describe('plugin kernel-dvipa, peers that look alike', () => {
  let lab: Lab;
  let watcher: PluginWatcher;
  const clients = ['client1', 'client2'] as const;

  before(async () => {
    lab = await startPluginLab({}, 2);
    await lab.host('client2').must(['ip', 'address', 'add', '10.1.1.1/32', 'dev', 'lo']);
    editFile('client2', 'swanctl/swanctl.conf', (text) => text.replace('10.1.2.1/32', '10.1.1.1/32'));
    await lab.host('client2').must(['swanctl', '--load-all', '--noprompt']);
    watcher = await PluginWatcher.start();
    for (const client of clients) await lab.initiate(client);
    await waitFor('both', () => outPolicies().length === 2);
  });

  after(async () => {
    watcher?.close();
    await lab?.release();
    await Lab.downAny(PLUGIN_LAB);
  });

  const outPolicies = () =>
    watcher.changes.flatMap((change) =>
      change.type === 'policy-add' && change.policy.direction === 'out' ? [change.policy] : [],
    );
  const sas = () => watcher.changes.flatMap((change) => (change.type === 'sa-add' ? [change.sa] : []));
  const groupOf = (address: string) => {
    const groups = new Set(
      sas()
        .filter(({ source, destination }) => [source, destination].includes(address))
        .map(({ group }) => group),
    );
    const [group] = groups;
    if (group === undefined || groups.size !== 1) throw new Error(`${groups.size} groups of ${address}`);
    return group;
  };
  const listed = async () => {
    const other = await PluginWatcher.start();
    other.close();
    const [snapshot] = other.snapshots;
    if (snapshot === undefined) throw new Error('no list');
    return snapshot;
  };

  it('have one reqid and two groups', async () => {
    expect(new Set(sas().map(({ reqid }) => reqid)).size).to.equal(1);
    expect(groupOf('192.0.2.101')).to.not.equal(groupOf('192.0.2.102'));
    const { sas: known } = await listed();
    expect(known.map(({ group }) => group).toSorted((a, b) => a - b)).to.deep.equal([1, 1, 2, 2]);
  });

  it('have an outbound policy each, with a key of its own', async () => {
    const { policies } = await listed();
    const out = policies.filter(({ direction }) => direction === 'out');
    expect(out).to.have.length(2);
    expect(new Set(out.map(({ key }) => key)).size).to.equal(2);
    for (const { group, destination, spi } of out) {
      expect(group).to.equal(groupOf(destination));
      expect(sas().find((sa) => sa.spi === spi)).to.include({ group, destination });
    }
  });

  it('stay what they are over the rekey of one, after it has moved as well', async () => {
    const group = groupOf('192.0.2.102');
    for (const port of [4500, 40_000]) {
      const from = watcher.changes.length;
      const inbound = sas().findLast((sa) => sa.group === group && sa.direction === 'in');
      const mapping = { sa: inbound?.id ?? '', address: '192.0.2.102', port };
      await reportMapping(watcher.session.session, mapping);
      if (port !== 4500) await waitFor('a move', () => watcher.said(from).includes('sa-update out'));
      await lab.host('client2').must(['swanctl', '--rekey', '--child', 'web']);
      await waitFor('the switch', () => watcher.said(from).includes('policy-add out'));
      expect(outPolicies().at(-1)).to.include({ group, spi: watcher.newest('out').spi });
      await waitFor('the end of the old SAs', () => watcher.said(from).includes('sa-delete in'));
    }
    expect(groupOf('192.0.2.102')).to.equal(group);
  });

  it('leave the other one its policy when they go', async () => {
    await lab.host('client1').must(['swanctl', '--terminate', '--ike', 'dvipa', '--timeout', '5']);
    await waitFor('the end', async () => (await listed()).sas.length === 2);
    const { policies, sas: known } = await listed();
    const group = groupOf('192.0.2.102');
    expect(
      policies.filter(({ direction }) => direction === 'out').map((policy) => policy.group),
    ).to.deep.equal([group]);
    expect(known.map((sa) => sa.group)).to.deep.equal([group, group]);
    expect(watcher.invalid).to.deep.equal([]);
  });

  it('get another number when they come back', async () => {
    const before = groupOf('192.0.2.101');
    await lab.initiate('client1');
    await waitFor('the SAs', () => watcher.newest('out').destination === '192.0.2.101');
    expect(watcher.newest('out').group).to.be.greaterThan(before);
  });
});
