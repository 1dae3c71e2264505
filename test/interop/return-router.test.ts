import { expect } from 'chai';
import { download, newMarker, requestMany } from '../../src/lab/demo/traffic.ts';
import type { Host } from '../../src/lab/host.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { classifyCluster, countClasses, countPacketsWith } from '../../src/lab/wire-class.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { macOf, sendersOf, sendersOfEsp } from './support/observe.ts';

const REQUESTS = 12;
const DOWNLOAD_BYTES = 1_000_000;

/** `return: router`: a host without IPsec beside one with a tunnel, and nothing that either gets comes from a target itself. */
describe('cluster, return: router', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  const marker = newMarker(`return ${process.pid}`);
  const stranger = (): Host => cluster.lab.host('client2');

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('ret', {
      tunnels: false,
      values: { clear_text: 'distribute', return: 'router' },
    });
    await stranger().must(['ip', 'route', 'add', cluster.dvipa, 'via', cluster.lab.scenario.endpoint]);
    await cluster.lab.initiate('client1');
    await cluster.installed(1);
  });

  after(() => cluster?.down());

  it('answers in clear leave from the routing host, and cross the cluster sealed', async () => {
    const wire = await cluster.capture('outside', ['src', 'host', cluster.dvipa]);
    const inside = await cluster.capture('cluster');
    const { failed, perTarget } = await requestMany(stranger(), cluster.dvipa, REQUESTS);
    expect(failed).to.equal(0);
    expect(Object.keys(perTarget).toSorted()).to.deep.equal(cluster.targets);
    const got = await download(stranger(), cluster.dvipa, DOWNLOAD_BYTES, marker, 20);
    expect(got).to.include({ bytes: DOWNLOAD_BYTES, sha256ok: true });
    const said = await stranger().must(['ping', '-c', '3', '-i', '0.2', '-W', '2', cluster.dvipa]);
    expect(said).to.contain('3 received');
    const senders = sendersOf(readPcap((await wire.stop()).file));
    expect([...senders.keys()]).to.deep.equal([await macOf(cluster.lab.router, 'outside0')]);
    expect([...senders.values()][0]).to.be.greaterThan(DOWNLOAD_BYTES / 1500);
    const crossed = readPcap((await inside.stop()).file);
    expect(countClasses(crossed, classifyCluster)).to.not.have.property('other');
    expect(countPacketsWith(crossed, marker)).to.equal(0);
  });

  it('so does ESP, of one target alone too', async () => {
    const { dvipa } = cluster;
    const { endpoint } = cluster.lab.scenario;
    const client = cluster.lab.host('client1');
    const wire = await cluster.capture('outside', ['src', 'host', endpoint, 'and', 'udp', 'port', '4500']);
    const { failed, perTarget } = await requestMany(client, dvipa, REQUESTS);
    expect(failed).to.equal(0);
    expect(Object.keys(perTarget).toSorted()).to.deep.equal(cluster.targets);
    const got = await download(client, dvipa, DOWNLOAD_BYTES, marker, 20);
    expect(got).to.include({ bytes: DOWNLOAD_BYTES, sha256ok: true });
    const senders = sendersOfEsp(readPcap((await wire.stop()).file));
    expect([...senders.keys()]).to.deep.equal([await macOf(cluster.lab.router, 'outside0')]);
    expect([...senders.values()][0]).to.be.greaterThan(DOWNLOAD_BYTES / 1500);
    for (const [host, drops] of Object.entries(await cluster.allDrops()))
      expect(drops, host).to.deep.equal({});
  });
});
