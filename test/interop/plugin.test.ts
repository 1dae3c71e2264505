import { statSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { startCapture } from '../../src/lab/capture.ts';
import { Lab } from '../../src/lab/lab.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import {
  connect,
  expireSa,
  openSession,
  pluginVersion,
  pushCounters,
  putState,
  rekey,
  reportMapping,
  type ViciError,
  type ViciSession,
} from '../../src/vici/index.ts';
import {
  charonLog,
  openGcm,
  PLUGIN_LAB,
  PluginWatcher,
  routerSocket,
  startPluginLab,
} from '../support/plugin-lab.ts';

// A real charon with the plugin as its kernel backend, and a stock client; this test plays the routing agent.
describe('plugin kernel-dvipa in charon', () => {
  let lab: Lab;
  let watcher: PluginWatcher;
  /** charon's own socket. */
  let charon: ViciSession;

  before(async () => {
    lab = await startPluginLab();
    watcher = await PluginWatcher.start();
    charon = await openSession(`unix://${routerSocket('charon.vici')}`);
  });

  after(async () => {
    watcher?.close();
    charon?.close();
    await lab?.release();
    await Lab.downAny(PLUGIN_LAB);
  });

  const settle = async (count: number, from: number) => {
    await waitFor(`${count} changes`, () => {
      const said = watcher.said(from);
      if (said.length < count) throw new Error(`so far: ${said.join(', ')}`);
      return true;
    });
    return watcher.said(from);
  };
  /** The SA that the newest outbound policy names. */
  const policySpi = () => watcher.newestPolicy('out').spi;
  const session = () => watcher.session.session;
  const failure = (work: Promise<unknown>) =>
    work.then(
      () => 'nothing failed',
      (error: ViciError) => error.message,
    );

  it('serves a socket that only its own user may open, and tells versions and instance', async () => {
    expect(statSync(routerSocket('charon.dvipa')).mode & 0o777).to.equal(0o600);
    const version = await pluginVersion(session());
    expect(version.daemon).to.match(/^\d+\.\d+\.\d+/);
    expect(version.instance).to.equal(watcher.session.instance);
    const [snapshot] = watcher.snapshots;
    expect(snapshot).to.deep.include({ sequence: 0, dvipas: ['203.0.113.10'], endpoints: ['192.0.2.10'] });
  });

  it('tells the SAs and policies of a tunnel, in the order in which charon installs them', async () => {
    await lab.initiate('client1');
    expect(await settle(5, 0)).to.deep.equal([
      'sa-add in',
      'sa-add out',
      'policy-add in',
      'policy-add fwd',
      'policy-add out',
    ]);
    const [inbound, outbound] = [watcher.newest('in'), watcher.newest('out')];
    expect(inbound).to.deep.include({
      source: '192.0.2.101',
      destination: '192.0.2.10',
      sourcePort: 4500,
      destinationPort: 4500,
      group: 1,
      mode: 'tunnel',
      hasUdpEncapsulation: true,
      hasEsn: false,
      replayWindowPackets: 32,
      isInitiator: false,
      isUpdate: true,
      encryptionTransform: 20,
      integrityTransform: 0,
      dvipa: '203.0.113.10',
      state: undefined,
    });
    const selector = (address: string) => ({
      family: 4,
      from: address,
      to: address,
      protocol: 0,
      fromPort: 0,
      toPort: 65535,
    });
    expect(inbound.sourceSelectors).to.deep.equal([selector('10.1.1.1')]);
    expect(inbound.destinationSelectors).to.deep.equal([selector('203.0.113.10')]);
    expect(outbound).to.deep.include({
      source: '192.0.2.10',
      destination: '192.0.2.101',
      reqid: inbound.reqid,
    });
    expect(outbound.sourceSelectors).to.deep.equal([selector('203.0.113.10')]);
    expect(inbound.seconds.hard).to.be.greaterThan(inbound.seconds.soft).and.greaterThan(0);
    expect(inbound.bytes).to.deep.equal({ soft: 0, hard: 0 });
    expect(watcher.newestPolicy('out')).to.deep.include({
      direction: 'out',
      spi: outbound.spi,
      reqid: outbound.reqid,
    });
    expect(watcher.invalid).to.deep.equal([]);
    expect(charonLog('router1')).to.not.contain('is not acknowledged');
  });

  it('tells the keys that the peer uses: a packet of the stock client opens with them', async () => {
    const file = path.join(PLUGIN_LAB.folder, 'keys.pcap');
    const capture = await startCapture(lab.router, 'outside0', file, {
      filter: ['udp', 'port', '4500'],
    });
    await lab.host('client1').exec(['ping', '-c', '1', '-W', '1', lab.scenario.dvipa]);
    await capture.stop();
    const spi = watcher.newest('in').spi;
    // Ethernet 14, IPv4 20, UDP 8.
    const esp = readPcap(file)
      .packets.map(({ bytes }) => bytes.subarray(42))
      .find((bytes) => bytes.length > 40 && bytes.readUInt32BE(0) === spi);
    if (esp === undefined) throw new Error('no ESP packet with the SPI that the plugin told');
    const inner = openGcm(esp, watcher.newest('in').encryptionKey.reveal());
    expect([...inner.subarray(12, 20)]).to.deep.equal([10, 1, 1, 1, 203, 0, 113, 10]);
    expect(inner[9]).to.equal(1); // ICMP
  });

  it('lists the same as it told, to whoever comes later', async () => {
    const other = await PluginWatcher.start();
    const [snapshot] = other.snapshots;
    other.close();
    expect(snapshot?.sequence).to.equal(watcher.changes.length);
    const told = watcher.changes.filter((change) => change.type === 'sa-add').map(({ sa }) => sa.id);
    expect(snapshot?.sas.map(({ id }) => id).toSorted()).to.deep.equal(told.toSorted());
    expect(snapshot?.policies.map(({ direction }) => direction).toSorted()).to.deep.equal([
      'fwd',
      'in',
      'out',
    ]);
  });

  it('shows the counters that the agent pushed in list-sas, and never lets them go back', async () => {
    const { id } = watcher.newest('in');
    const outbound = watcher.newest('out').id;
    const counters = () => lab.router.must(['swanctl', '--list-sas']);
    await pushCounters(
      session(),
      new Map([
        [id, { bytes: 5000, packets: 50, idleMs: 0 }],
        [outbound, { bytes: 7000, packets: 70, idleMs: 0 }],
        ['4711', { bytes: 1, packets: 1, idleMs: 0 }],
      ]),
    );
    expect(await counters()).to.match(/in {2}[0-9a-f]{8}, {3}5000 bytes, {4}50 packets, +[0-3]s ago/);
    expect(await counters()).to.match(/out [0-9a-f]{8}, {3}7000 bytes, {4}70 packets/);
    await pushCounters(session(), new Map([[id, { bytes: 4000, packets: 40, idleMs: 0 }]]));
    expect(await counters()).to.match(/in {2}[0-9a-f]{8}, {3}5000 bytes, {4}50 packets/);
  });

  it('keeps the state of an SA and of a DVIPA, refuses what is too long and what it does not know', async () => {
    const { id } = watcher.newest('out');
    await putState(session(), { sa: id }, Buffer.from([1, 2, 3]));
    await putState(session(), { sa: id }, Buffer.alloc(1024, 7));
    await putState(session(), { dvipa: '203.0.113.10' }, Buffer.from('epoch'));
    expect(await failure(putState(session(), { sa: '999' }, Buffer.from('x')))).to.contain('no such SA');
    expect(await failure(putState(session(), { dvipa: '203.0.113.99' }, Buffer.from('x')))).to.contain(
      'no such DVIPA',
    );
    const other = await PluginWatcher.start();
    const [snapshot] = other.snapshots;
    other.close();
    expect(snapshot?.sas.find((sa) => sa.id === id)?.state).to.deep.equal(Buffer.alloc(1024, 7));
    expect(snapshot?.states.get('203.0.113.10')?.toString()).to.equal('epoch');
  });

  it('tells a rekey that we initiate: the new SAs, the switch of the policy, then the end of the old', async () => {
    const from = watcher.changes.length;
    await rekey(charon, { child: 'web' });
    const said = await settle(7, from);
    expect(said).to.include.members([
      'sa-add in',
      'sa-add out',
      'policy-add out',
      'sa-delete in',
      'sa-delete out',
    ]);
    expect(said.indexOf('sa-add out')).to.be.lessThan(said.indexOf('policy-add out'));
    expect(said.indexOf('policy-add out')).to.be.lessThan(said.indexOf('sa-delete out'));
    expect(said).to.not.include('policy-delete out');
    expect(policySpi()).to.equal(watcher.newest('out').spi);
  });

  it('tells a rekey that the peer initiates: both SAs first, the switch when the peer uses the new one', async () => {
    const from = watcher.changes.length;
    await lab.host('client1').must(['swanctl', '--rekey', '--child', 'web']);
    const said = await settle(7, from);
    expect(said.slice(0, 2)).to.deep.equal(['sa-add in', 'sa-add out']);
    expect(said.indexOf('policy-add out')).to.be.lessThan(said.indexOf('sa-delete out'));
    expect(said).to.not.include('policy-delete out');
    expect(policySpi()).to.equal(watcher.newest('out').spi);
  });

  it('lets charon rekey when the agent says that a soft limit is reached', async () => {
    const from = watcher.changes.length;
    const old = watcher.newest('in').spi;
    await expireSa(session(), watcher.newest('in').id, 'soft');
    await settle(7, from);
    expect(watcher.newest('in').spi).to.not.equal(old);
    expect(await failure(expireSa(session(), '999', 'soft'))).to.contain('no such SA');
  });

  it('lets charon move the SAs when the agent says that the peer has moved', async () => {
    const from = watcher.changes.length;
    await reportMapping(session(), { sa: watcher.newest('in').id, address: '192.0.2.101', port: 40_000 });
    const peerPorts = () =>
      watcher.changes
        .slice(from)
        .flatMap((change) =>
          change.type === 'sa-update'
            ? [change.sa.direction === 'in' ? change.sa.sourcePort : change.sa.destinationPort]
            : [],
        );
    await waitFor('both moved', () => watcher.said(from).includes('sa-update out'));
    expect(watcher.said(from)).to.include('sa-update in');
    expect(new Set(peerPorts())).to.deep.equal(new Set([40_000]));
    // Policies stay: without one, a target would drop what it sends meanwhile.
    expect(watcher.said(from).filter((said) => said.startsWith('policy'))).to.deep.equal([]);
    await reportMapping(session(), { sa: watcher.newest('in').id, address: '192.0.2.101', port: 4500 });
    await waitFor('both moved back', () => peerPorts().filter((port) => port === 4500).length >= 2);
  });

  it('lets charon end the SA when the agent says that a hard limit is reached', async () => {
    const from = watcher.changes.length;
    await expireSa(session(), watcher.newest('in').id, 'hard');
    // charon asks the peer first, and builds a new SA meanwhile.
    await waitFor('the end of the SA', () => watcher.said(from).includes('sa-delete in'));
  });

  it('tells the end of the tunnel', async () => {
    await lab.host('client1').exec(['swanctl', '--terminate', '--ike', 'dvipa', '--timeout', '5']);
    await waitFor('an empty list', async () => {
      const other = await PluginWatcher.start();
      other.close();
      const [snapshot] = other.snapshots;
      return snapshot?.sas.length === 0 && snapshot.policies.length === 0;
    });
    const count = (what: string) => watcher.said().filter((said) => said === what).length;
    await waitFor('as many ends as beginnings', () => {
      return ['in', 'out'].every(
        (direction) => count(`sa-add ${direction}`) === count(`sa-delete ${direction}`),
      );
    });
    expect(watcher.invalid).to.deep.equal([]);
    expect(watcher.snapshots, 'nothing was missed').to.have.length(1);
  });

  it('tells the SAs of a charon that ends properly, and has another instance afterwards', async () => {
    await lab.initiate('client1');
    const before = watcher.session.instance;
    await waitFor('SAs', () => watcher.newest('out'));
    const from = watcher.changes.length;
    const [process] = [lab.process('router1', 'charon')];
    await process.stop();
    await waitFor('the end of both SAs', () =>
      ['sa-delete in', 'sa-delete out'].every((end) => watcher.said(from).includes(end)),
    );
    await lab.startCharon('router1');
    await waitFor(
      'another instance',
      () => watcher.session.isFollowing && watcher.session.instance !== before,
    );
    expect(watcher.snapshots.at(-1)).to.deep.include({ sas: [], policies: [], sequence: 0 });
    expect(watcher.snapshots.at(-1)?.states.size).to.equal(0);
  });

  it('takes no notice of a charon that was killed: its successor replaces the socket', async () => {
    await lab.process('router1', 'charon').kill('SIGKILL');
    expect(await failure(connect(`unix://${routerSocket('charon.dvipa')}`))).to.contain('cannot connect');
    await lab.startCharon('router1');
    await waitFor('the successor', () => watcher.session.isFollowing);
    await pluginVersion(session());
  });
});
