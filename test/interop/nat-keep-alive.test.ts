import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { loadSwanctl } from '../../src/lab/charon.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { keepAlivesTo } from './support/ike-packets.ts';
import { macOf, keepTalking, slowDownload } from './support/observe.ts';

const ENDPOINT = '192.0.2.10';
/** Where the peer believes the endpoint to be. */
const MAPPED = '192.0.2.99';
const PEER = '192.0.2.101';
/** What targets sent is known to charon after a second or two, whole seconds. */
const KEEP_ALIVE_SECONDS = 4;
const IDLE_SECONDS = 12;

/** The routing host behind a NAT: who keeps the mapping alive (RFC 3948 section 4)? */
describe('a routing host behind a NAT', function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('keep', {
      clients: 1,
      targets: 2,
      tunnels: false,
      values: { rekey_time: 0, ike_rekey_time: 0, keep_alive: `${KEEP_ALIVE_SECONDS}s` },
    });
    const client = cluster.lab.host('client1');
    // The NAT stands at the peer's end of the network: to IKE that is all the same.
    const rules = `table ip nat1 {
      chain out { type nat hook output priority -100; ip daddr ${MAPPED} dnat to ${ENDPOINT}; }
    }`;
    await client.must(['nft', '-f', '-'], { input: rules });
    const file = cluster.file('hosts/client1/swanctl/swanctl.conf');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace(`remote_addrs = ${ENDPOINT}`, `remote_addrs = ${MAPPED}`),
    );
    await loadSwanctl(client);
    await cluster.initiateAll();
    await cluster.installed();
  });

  after(() => cluster?.down());

  const toPeer = ['dst', PEER, 'and', 'udp', 'port', '4500'];

  it('is found out by charon, and serves the peer', async () => {
    expect(readFileSync(cluster.lab.router.logFile('charon'), 'utf8')).to.contain('local host is behind NAT');
    const said = await cluster.lab
      .host('client1')
      .must(['curl', '-s', '--max-time', '5', `http://${cluster.dvipa}/`]);
    expect(said).to.match(/^target\d /);
  });

  it('sends keep-alives itself when nothing else is sent, and no target does', async () => {
    const wire = await cluster.capture('outside', toPeer);
    await setTimeout(IDLE_SECONDS * 1000);
    const senders = keepAlivesTo(readPcap((await wire.stop()).file), PEER);
    const router = await macOf(cluster.lab.router, 'outside0');
    expect(senders.length).to.be.within(2, IDLE_SECONDS / KEEP_ALIVE_SECONDS + 1);
    expect([...new Set(senders)]).to.deep.equal([router]);
  });

  it('sends none while targets send ESP, which keeps the mapping as well', async () => {
    const client = cluster.lab.host('client1');
    const slow = slowDownload(client, cluster.dvipa, IDLE_SECONDS);
    await slow.server;
    // A download alone pauses for seconds while its reader catches up, and then a keep-alive is right.
    const pinged = keepTalking(client, cluster.dvipa, IDLE_SECONDS);
    await setTimeout(1500); // the targets' counters have reached charon
    const wire = await cluster.capture('outside', toPeer);
    await setTimeout((IDLE_SECONDS - 4) * 1000);
    const senders = keepAlivesTo(readPcap((await wire.stop()).file), PEER);
    expect(await slow.isWhole).to.equal(true);
    await pinged;
    expect(senders).to.deep.equal([]);
  });

  it('drops nothing for it', async () => {
    for (const [host, drops] of Object.entries(await cluster.allDrops()))
      expect(drops, host).to.deep.equal({});
  });
});
