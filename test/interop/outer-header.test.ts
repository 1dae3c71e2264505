import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import type { Host } from '../../src/lab/host.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { kernelFaults } from './support/matrix/kernel-counters.ts';
import { listedSas } from './support/observe.ts';
import { udpSum } from './support/run-packets.ts';

const ENDPOINT = '192.0.2.10';
const PADDED_BYTES = 1000;
const DOWNLOAD_BYTES = 1_000_000;
const [ECN, CONGESTION] = [3, 3];
const EXPEDITED = 0xb8;

/** What can be seen of an IPv4 header. */
interface Seen {
  readonly length: number;
  readonly trafficClass: number;
  readonly hasDontFragment: boolean;
}

/** A stock Linux kernel as peer; what of inner packets shows outside, and what of outer ones inside. */
describe('outer headers of a cluster', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let peer: Host;
  let address = '';

  before(async function () {
    this.timeout(180_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('outer', {
      clients: 0,
      kernels: 1,
      targets: 2,
      tunnels: false,
      values: { rekey_time: 0, ike_rekey_time: 0, tfc_padding: PADDED_BYTES, copy_dscp: '"yes"' },
    });
    peer = cluster.lab.host('kernel1');
    address = cluster.lab.plan.find(({ name }) => name === 'kernel1')?.outsideAddress ?? '';
    await cluster.lab.initiate('kernel1');
    await cluster.installed(1);
  });

  after(() => cluster?.down());

  /** ESP from the cluster to the peer from now on. */
  async function captureEsp(): Promise<{ stop(): Promise<Buffer[]> }> {
    const filter = ['src', ENDPOINT, 'and', 'dst', address, 'and', 'udp', 'src', 'port', '4500'];
    const wire = await cluster.capture('outside', filter);
    return {
      async stop() {
        const packets = readPcap((await wire.stop()).file).packets.map(({ bytes }) => bytes.subarray(14));
        return packets.filter((packet) => packet.readUInt32BE(28) !== 0);
      },
    };
  }

  /** The same while the peer does something. */
  async function espDuring(doing: () => Promise<unknown>): Promise<Seen[]> {
    const wire = await captureEsp();
    await doing();
    return (await wire.stop()).map(headerOf);
  }

  const ping = (...options: string[]) =>
    peer.must(['ping', '-q', '-c', '4', '-i', '0.2', '-W', '2', ...options, cluster.dvipa]);

  it('packets of all lengths are equally long where TFC padding is asked for', async () => {
    const seen = await espDuring(async () => {
      for (const bytes of ['0', '17', '300', '900']) await ping('-s', bytes);
    });
    expect(seen).to.have.lengthOf(16);
    const [length, ...others] = new Set(seen.map((one) => one.length));
    expect(others).to.deep.equal([]);
    // IPv4, UDP, ESP header and IV, inner packet, trailer on four bytes, ICV.
    expect(length).to.equal(20 + 8 + 16 + PADDED_BYTES + 4 + 16);
    expect(await kernelFaults(peer)).to.deep.equal({});
  });

  it('the peer counts the same bytes and packets as charon here', async () => {
    await setTimeout(1500); // counters are pushed once a second
    const [ours, theirs] = [await listedSas(cluster.lab.router), await listedSas(peer)];
    const [mine, its] = [ours.children[0], theirs.children[0]];
    expect([mine?.bytesOut, mine?.packetsOut]).to.deep.equal([its?.bytesIn, its?.packetsIn]);
  });

  it('DSCP of the inner packet shows, and DF', async () => {
    const pings = await espDuring(() => ping('-Q', String(EXPEDITED)));
    expect(pings.map(({ trafficClass }) => trafficClass)).to.deep.equal(pings.map(() => EXPEDITED));
    expect(pings.map(({ hasDontFragment }) => hasDontFragment)).to.deep.equal(pings.map(() => false));
    const segments = await espDuring(() => peer.must(['curl', '-s', `http://${cluster.dvipa}/`]));
    expect(segments.length).to.be.greaterThan(3);
    expect(segments.every(({ hasDontFragment }) => hasDontFragment)).to.equal(true);
  });

  it('a download leaves in runs, each packet of which is as one that left alone, with a right UDP checksum', async () => {
    // As on a wire: whole packets with whole checksums.
    for (const target of cluster.targets)
      await cluster.lab.host(target).must(['ethtool', '-K', 'outside0', 'tx', 'off']);
    const download = `curl -s http://${cluster.dvipa}/bytes/${DOWNLOAD_BYTES} | sha256sum`;
    const wire = await captureEsp();
    expect(await peer.must(['sh', '-c', download])).to.contain(byteStreamSha256(DOWNLOAD_BYTES));
    const packets = await wire.stop();
    // Over IPv4 only what left in a run has one.
    const inRuns = packets.filter((packet) => packet.readUInt16BE(26) !== 0);
    expect(inRuns.length).to.be.above(packets.length / 2);
    expect(inRuns.map(udpSum).filter((sum) => sum !== 0)).to.deep.equal([]);
    const headers = new Set(
      packets.map((packet) => `${headerOf(packet).trafficClass} ${packet.readUInt8(8)}`),
    );
    expect([...headers]).to.deep.equal(['0 64']);
    expect(packets.every((packet) => headerOf(packet).hasDontFragment)).to.equal(true);
    expect(await kernelFaults(peer)).to.deep.equal({});
  });

  it('congestion on the way in reaches the kernel of the application, and its echo the peer (RFC 6040, RFC 3168)', async () => {
    await peer.must(['sysctl', '-qw', 'net.ipv4.tcp_ecn=1']);
    const rules = `table bridge congested {
      chain way { type filter hook forward priority 0; ip saddr ${address} udp dport 4500 ip ecn 2 ip ecn set 3; }
    }`;
    await cluster.lab.host('outside').must(['nft', '-f', '-'], { input: rules });
    const tuns = await Promise.all(cluster.targets.map((target) => cluster.capture(target)));
    const out = await espDuring(() =>
      peer.must(['sh', '-c', `head -c 200000 /dev/zero | curl -s --data-binary @- http://${cluster.dvipa}/`]),
    );
    const inner = (await Promise.all(tuns.map((tun) => tun.stop()))).flatMap(
      ({ file }) => readPcap(file).packets,
    );
    const toServer = inner.filter(({ bytes }) => bytes.subarray(16, 20).join('.') === cluster.dvipa);
    const marked = toServer.filter(({ bytes }) => ((bytes[1] as number) & ECN) === CONGESTION);
    // A packet on the TUN may be 64 KB long.
    expect(marked.reduce((sum, { originalLength }) => sum + originalLength, 0)).to.be.greaterThan(5000);
    const fromServer = inner.filter(({ bytes }) => bytes.subarray(12, 16).join('.') === cluster.dvipa);
    expect(fromServer.filter(({ bytes }) => ((bytes[33] as number) & 0x40) !== 0).length).to.be.greaterThan(
      0,
    );
    expect(out.length).to.be.greaterThan(0);
    await cluster.lab.host('outside').must(['nft', 'delete', 'table', 'bridge', 'congested']);
    for (const [host, drops] of Object.entries(await cluster.allDrops()))
      expect(drops, host).to.deep.equal({});
  });
});

function headerOf(packet: Buffer): Seen {
  return {
    length: packet.readUInt16BE(2),
    trafficClass: packet.readUInt8(1),
    hasDontFragment: (packet.readUInt8(6) & 0x40) !== 0,
  };
}
