import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { EXCHANGE, requestsOf } from './support/ike-packets.ts';
import { listedSas } from './support/observe.ts';

const ENDPOINT = '192.0.2.10';
const DPD_SECONDS = 2;
const INACTIVITY_SECONDS = 6;
const COUNTERS_MS = 1500;
const PEERS = { client1: '192.0.2.101', client2: '192.0.2.102' } as const;

/** charon knows nothing of packets but what its kernel backend says, and that is what the targets report. */
describe("cluster, charon's view", function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('view', {
      targets: 2,
      tunnels: false,
      values: {
        rekey_time: 0,
        ike_rekey_time: 0,
        dpd_delay: `${DPD_SECONDS}s`,
        inactivity: `${INACTIVITY_SECONDS}s`,
        // Given up after 1 + 1.8 + 3.2 seconds.
        retransmit_tries: 2,
      },
    });
  });

  after(() => cluster?.down());

  const charonLog = () => readFileSync(cluster.lab.router.logFile('charon'), 'utf8');
  const peersOf = async (host: string) =>
    new Set((await cluster.ask(host, 'sas')).map(({ peer }) => peer.replace(/:\d+$/, '')));

  it('while packets come, charon neither probes the peer nor closes the SA; of one that is idle it does both', async () => {
    await cluster.initiateAll();
    await cluster.installed();
    const wire = await cluster.capture('outside', ['udp', 'port', '4500']);
    const logFrom = charonLog().length;
    const seconds = 2 * INACTIVITY_SECONDS;
    // Both ways, little enough that a second without any is no accident.
    const said = await cluster.lab
      .host('client1')
      .must(['ping', '-q', '-i', '0.5', '-w', String(seconds), cluster.dvipa], {
        timeoutMs: (seconds + 5) * 1000,
      });
    expect(said).to.contain(' 0% packet loss');
    const capture = readPcap((await wire.stop()).file);
    const probes = (peer: string) => requestsOf(capture, EXCHANGE.INFORMATIONAL, ENDPOINT, peer);
    expect(probes(PEERS.client1)).to.equal(0);
    // One for each two seconds; and the deletion of its CHILD_SA.
    expect(probes(PEERS.client2)).to.be.within(3, seconds / DPD_SECONDS + 2);
    const log = charonLog().slice(logFrom);
    expect(log.match(/deleting CHILD_SA after \d+ seconds? of inactivity/g)).to.have.lengthOf(1);
    for (const host of ['router1', ...cluster.targets])
      expect([...(await peersOf(host))], host).to.deep.equal([PEERS.client1]);
    const { text } = await listedSas(cluster.lab.router);
    expect(text.match(/dvipa: #\d+, ESTABLISHED/g), 'both IKE_SAs').to.have.lengthOf(2);
  });

  it('lists bytes, packets and last use in both directions, as the peer counts them', async () => {
    const client = cluster.lab.host('client1');
    await client.must(['curl', '-s', '-o', '/dev/null', `http://${cluster.dvipa}/bytes/100000`]);
    const { got, sent, text } = await waitFor('the figures agree', async () => {
      await client.must(['ping', '-q', '-c', '1', '-W', '2', cluster.dvipa]);
      await setTimeout(COUNTERS_MS); // they are pushed once a second
      const [ours, theirs] = [await listedSas(cluster.lab.router), await listedSas(client)];
      const [mine, its] = [ours.children[0], theirs.children[0]];
      const isSame = mine?.packetsIn === its?.packetsOut && mine?.packetsOut === its?.packetsIn;
      return mine !== undefined && its !== undefined && isSame && { got: mine, sent: its, text: ours.text };
    });
    expect([got.bytesIn, got.bytesOut]).to.deep.equal([sent.bytesOut, sent.bytesIn]);
    expect(got.bytesOut).to.be.greaterThan(0);
    const ages = [...text.matchAll(/^ {4}(in|out) .*packets, +(\d+)s ago$/gm)].map(([, way, age]) => [
      way,
      age,
    ]);
    expect(ages.map(([way]) => way)).to.deep.equal(['in', 'out']);
    for (const [way, age] of ages) expect(Number(age), way).to.be.at.most(3);
  });

  it('a peer that is dead is noticed, and its SAs go everywhere', async () => {
    const client = cluster.lab.host('client1');
    await client.must(['ip', 'link', 'set', 'dev', 'outside0', 'down']);
    const isGone = async () => (await peersOf('router1')).size === 0;
    await waitFor('the SAs are gone', isGone, { timeoutMs: 25_000 });
    expect(charonLog()).to.match(/giving up after 2 retransmits/);
    for (const target of cluster.targets) {
      await waitFor(`${target} has none`, async () => (await cluster.ask(target, 'sas')).length === 0);
    }
  });
});
