import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import { terminate } from '../../src/lab/charon.ts';
import type { Host } from '../../src/lab/host.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { sendRaw } from './support/forged-peer.ts';
import { ipv4Hex, udpHex } from './support/ipv4-packets.ts';
import { INSIDE, Nat } from './support/nat.ts';
import { keepTalking, listedSas, slowDownload } from './support/observe.ts';
import { startUploads, UPLOAD_PORT } from './support/uploads.ts';
import { kernelFaults } from './support/matrix/kernel-counters.ts';
import { faultsOf, RoadWarrior } from './support/road-warrior.ts';

const ENDPOINT = '192.0.2.10';
const OTHER = '192.0.2.201';
const FILE_BYTES = 300_000;

/** A stock Linux kernel behind a NAT: it moves TCP in tunnel and in transport mode, idles, and is given another place. */
describe('a stock kernel behind a NAT', function () {
  this.timeout(90_000);
  let cluster: Cluster;
  let client: Host;
  let nat: Nat;
  let upload: string;

  before(async function () {
    this.timeout(180_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('nat1', {
      scenario: 'roads',
      clients: 1,
      kernels: 1,
      targets: 2,
      tunnels: false,
      values: { rekey_time: 0, ike_rekey_time: 0, mobike: '"no"', keep_alive: '1s' },
    });
    upload = startUploads(cluster, FILE_BYTES);
    client = cluster.lab.host('kernel1');
    nat = await Nat.build(cluster, '40001-40001');
  });

  after(() => cluster?.down());

  const peersOf = async (host: string) => [
    ...new Set((await cluster.ask(host, 'sas')).map(({ peer }) => peer)),
  ];

  async function isBehindNat(): Promise<void> {
    for (const host of ['router1', ...cluster.targets]) {
      const isThere = async () => {
        const peers = await peersOf(host);
        return peers.length === 1 && nat.peer.test(peers[0] ?? '');
      };
      await waitFor(`${host} has the peer at ${nat.peer}`, isThere, { timeoutMs: 30_000 });
    }
  }

  /** A file down and one up, on connections of their own, with the right hashes. */
  async function exchange(): Promise<void> {
    const url = `http://${cluster.dvipa}`;
    const script = `curl -s --max-time 30 ${url}/bytes/${FILE_BYTES} | sha256sum
      curl -s --max-time 30 --data-binary @${upload} ${url}:${UPLOAD_PORT}/`;
    const said = await client.must(['sh', '-c', script]);
    const hash = byteStreamSha256(FILE_BYTES);
    expect(said.split(/ +-\n/)).to.deep.equal([hash, hash]);
  }

  /** Twice, so that each target has sent and taken a file. */
  async function exchangeWithAll(): Promise<void> {
    for (const _ of cluster.targets) await exchange();
    const faults = await kernelFaults(client);
    expect(faults).to.deep.equal({});
    expect(await faultsOf(cluster)).to.deep.equal([]);
  }

  const modes = async () => [
    ...new Set(
      (await cluster.ask('router1', 'sas')).map(({ mode, encapsulation }) => `${mode} ${encapsulation}`),
    ),
  ];

  it('moves files both ways in tunnel mode', async () => {
    const warrior = new RoadWarrior(cluster, 'kernel1', { outside: nat.address, inside: INSIDE.gateway });
    await warrior.up(['web', 'admin']);
    await isBehindNat();
    expect(await modes()).to.deep.equal(['tunnel udp']);
    await exchangeWithAll();
  });

  it("sends keep-alives that nobody but charon's socket sees, and nobody counts", async () => {
    const before = await cluster.allDrops();
    const log = join(cluster.lab.options.folder, 'logs/router1-charon.log');
    const { size } = statSync(log);
    const { packetsIn } = (await cluster.ask('router1', 'status')).counters;
    const wire = await cluster.capture('outside', ['src', nat.address, 'and', 'udp[4:2] = 9']);
    const seen = () => readPcap(wire.file).packets.filter(({ bytes }) => bytes[42] === 0xff).length;
    await waitFor('keep-alives', () => seen() >= 3, { timeoutMs: 30_000 });
    // From nobody that charon knows, as well.
    const stranger = ipv4Hex(nat.address, ENDPOINT, 17, udpHex(7777, 4500, 'ff'));
    await sendRaw(cluster.lab.host('client1'), [stranger, stranger]);
    await wire.stop();
    expect(await cluster.allDrops()).to.deep.equal(before);
    expect((await cluster.ask('router1', 'status')).counters.packetsIn).to.equal(packetsIn);
    expect(readFileSync(log).subarray(size).toString()).to.equal('');
  });

  it('moves files both ways in transport mode: checksums are right, though the NAT changed the addresses', async () => {
    await terminate(client);
    await client.must(['swanctl', '--initiate', '--child', 'direct', '--timeout', '30']);
    await cluster.installed(1);
    await isBehindNat();
    expect(await modes()).to.deep.equal(['transport udp']);
    await exchangeWithAll();
    // An application sees the NAT.
    expect(await client.must(['curl', '-s', '--max-time', '10', `http://${cluster.dvipa}/`])).to.contain(
      nat.address,
    );
  });

  it('is followed to another port in transport mode, with a download under way', async () => {
    const slow = slowDownload(client, cluster.dvipa, 6);
    await slow.server;
    const talk = keepTalking(client, cluster.dvipa, 6);
    await nat.moveTo(nat.address, '50002-50002');
    await isBehindNat();
    expect(await slow.isWhole).to.equal(true);
    await talk;
    await exchangeWithAll();
  });

  it('gets new SAs in transport mode when the NAT has another address, and is served again', async () => {
    await nat.moveTo(OTHER, '50003-50003');
    const isServed = async () =>
      (await client.exec(['curl', '-s', '--max-time', '3', `http://${cluster.dvipa}/`])).stdout.includes(
        OTHER,
      );
    await waitFor('the client is served', isServed, { timeoutMs: 60_000 });
    await isBehindNat();
    expect((await listedSas(cluster.lab.router)).text).to.contain(`'kernel1' @ ${OTHER}[50003]`);
    await exchange();
  });
});
