import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Capture } from '../../src/lab/capture.ts';
import { terminate } from '../../src/lab/charon.ts';
import { download, newMarker, requestMany } from '../../src/lab/demo/traffic.ts';
import type { Host } from '../../src/lab/host.ts';
import { ownProgram, PROJECT_ROOT } from '../../src/lab/program.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { classifyCluster, countClasses, countPacketsWith } from '../../src/lab/wire-class.ts';
import { Cluster, difference, missingForCluster } from './support/cluster.ts';
import { logsOf } from './support/lab-observations.ts';
import { slowDownload } from './support/observe.ts';
import { startUploads, UPLOAD_PORT } from './support/uploads.ts';

const RULES = [
  '{ action: require-ipsec, protocol: tcp, ports: "443" }',
  '{ action: permit, protocol: tcp, ports: "80" }',
  `{ action: permit, protocol: tcp, ports: "${UPLOAD_PORT}" }`,
  '{ action: permit, protocol: icmp }',
].join(', ');
const REQUESTS = 12;
const DOWNLOAD_BYTES = 1_000_000;
const UPLOAD_BYTES = 2_000_000;
/** Inside client1's tunnel. */
const INNER = '10.1.1.1';
/** curl: the operation timed out. */
const TIMED_OUT = 28;

/** A host without IPsec beside one with a tunnel; the DVIPA takes clear text on port 80, and IPsec only on port 443. */
describe('cluster, clear text', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let dvipa = '';
  let captures: { outside: Capture; cluster: Capture };
  const marker = newMarker(`clear ${process.pid}`);
  const client = (): Host => cluster.lab.host('client1');
  const stranger = (): Host => cluster.lab.host('client2');
  const ask = (host: Host, port: number) =>
    host.exec(['curl', '-s', '--max-time', '2', `http://${dvipa}:${port}/`]);

  before(async function () {
    this.timeout(120_000);
    const missing = missingForCluster(PROJECT_ROOT);
    if (missing.length > 0) throw new Error(`this test needs ${missing.join(', ')}`);
    cluster = await Cluster.up('clear', {
      scenario: 'endpoint',
      tunnels: false,
      values: { inbound_filter: 'bypass', clear_text: 'distribute', inbound_rules: RULES },
    });
    ({ dvipa } = cluster);
    const { endpoint } = cluster.lab.scenario;
    for (const target of cluster.targets) {
      cluster.lab.host(target).spawn('http443', [...ownProgram('lab/http-server'), target, dvipa, '443']);
      // Where a leak would go: the wire shows it.
      await cluster.lab.host(target).must(['ip', 'route', 'add', INNER, 'via', '192.0.2.101']);
    }
    await stranger().must(['ip', 'route', 'add', dvipa, 'via', endpoint]);
    captures = { outside: await cluster.capture('outside'), cluster: await cluster.capture('cluster') };
    await cluster.lab.initiate('client1');
    await cluster.installed(1);
  });

  after(async () => {
    await cluster?.down();
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(await logsOf(cluster.file('')));
  });

  it('reaches a port that a rule permits, over every target, from a host without IPsec', async () => {
    const { failed, perTarget } = await requestMany(stranger(), dvipa, REQUESTS);
    expect(failed).to.equal(0);
    expect(Object.keys(perTarget).toSorted()).to.deep.equal(cluster.targets);
    // The application sees the host's own address: nothing translated it.
    expect((await ask(stranger(), 80)).stdout).to.match(/^target\d 192\.0\.2\.102\n$/);
    const got = await download(stranger(), dvipa, DOWNLOAD_BYTES, marker, 20);
    expect(got).to.include({ bytes: DOWNLOAD_BYTES, sha256ok: true });
  });

  it('takes an upload whole, though the sender hands many segments over as one', async () => {
    const file = startUploads(cluster, UPLOAD_BYTES);
    const digest = createHash('sha256').update(readFileSync(file)).digest('hex');
    const url = `http://${dvipa}:${UPLOAD_PORT}/`;
    const retry = ['--retry', '20', '--retry-connrefused', '--retry-delay', '1'];
    const argv = ['curl', '-s', '--max-time', '30', ...retry, '--data-binary', `@${file}`, url];
    expect(await stranger().must(argv, { timeoutMs: 60_000 })).to.equal(digest);
    expect(await cluster.drops('router1')).to.not.have.property('too-big');
  });

  it('is answered when it pings', async () => {
    const said = await stranger().must(['ping', '-c', '3', '-i', '0.2', '-W', '2', dvipa]);
    expect(said).to.contain('3 received');
  });

  it('is refused on a port that requires IPsec, and on one that no rule permits, on the routing host', async () => {
    const before = await cluster.drops('router1');
    for (const port of [443, 8080]) expect((await ask(stranger(), port)).status).to.equal(TIMED_OUT);
    expect(difference(await cluster.drops('router1'), before)).to.have.all.keys('clear');
    const [filter] = await cluster.ask('router1', 'filters');
    expect(filter?.rules.map(({ clearPackets }) => clearPackets > 0)).to.deep.equal([true, true, true, true]);
    expect(filter?.unmatched.clearPackets).to.be.greaterThan(0);
  });

  it('leaves a host with a tunnel both ports', async () => {
    for (const port of [80, 443]) expect((await ask(client(), port)).stdout, `${port}`).to.contain(INNER);
    expect((await requestMany(client(), dvipa, REQUESTS)).failed).to.equal(0);
  });

  it('crosses the cluster network sealed', async () => {
    const [outside, inside] = await Promise.all(
      [captures.outside, captures.cluster].map(async (capture) => readPcap((await capture.stop()).file)),
    );
    expect(countClasses(inside!, classifyCluster)).to.not.have.property('other');
    expect(countPacketsWith(inside!, marker)).to.equal(0);
    // The control: where it is in clear, it is seen.
    expect(countPacketsWith(outside!, marker)).to.be.greaterThan(DOWNLOAD_BYTES / 1500);
    expect(countPacketsWith(outside!, INNER)).to.equal(0);
  });

  it('is no way out for a connection that began in a tunnel: it stops with it', async () => {
    // A careless client: without the tunnel its packets go in clear.
    const { endpoint } = cluster.lab.scenario;
    await client().must(['ip', 'route', 'add', dvipa, 'via', endpoint, 'src', INNER]);
    const slow = slowDownload(client(), dvipa, 6, marker, 15);
    const server = await slow.server;
    const wire = await cluster.capture('outside', ['host', dvipa, 'and', 'host', INNER]);
    await terminate(client());
    await waitFor('the SAs are gone', async () => (await cluster.ask(server, 'sas')).length === 0);
    await waitFor(
      'the application had something to say',
      async () => ((await cluster.drops(server))['no-policy'] ?? 0) > 0,
      { timeoutMs: 20_000 },
    );
    expect(await slow.isWhole).to.equal(false);
    const { packets } = readPcap((await wire.stop()).file);
    // Behind the Ethernet header: the source of IPv4.
    const sources = packets.map(({ bytes }) => bytes.subarray(26, 30).join('.'));
    expect(sources.filter((source) => source === dvipa)).to.deep.equal([]);
    expect(sources.filter((source) => source === INNER).length, 'the client did try').to.be.greaterThan(0);
    // A new connection is another matter: the rules permit it.
    expect((await ask(client(), 80)).stdout).to.contain(INNER);
    await client().must(['ip', 'route', 'del', dvipa]);
  });

  it('ends with the setting: where clear text is rejected, nothing passes, and a tunnel still works', async () => {
    await cluster.lab.process('router1', 'agent').stop();
    cluster.lab.rewriteConfiguration('router1', { clear_text: 'reject' });
    cluster.lab.startAgent('router1');
    await cluster.serving();
    const wire = await cluster.capture('outside', ['src', 'host', dvipa]);
    for (const port of [80, 443]) expect((await ask(stranger(), port)).status).to.equal(TIMED_OUT);
    expect((await stranger().exec(['ping', '-c', '2', '-W', '1', dvipa])).status).to.not.equal(0);
    expect(readPcap((await wire.stop()).file).packets).to.deep.equal([]);
    await cluster.lab.initiate('client1');
    await cluster.installed(1);
    for (const port of [80, 443]) expect((await ask(client(), port)).stdout, `${port}`).to.contain(INNER);
  });
});
