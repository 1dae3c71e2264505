import { appendFileSync } from 'node:fs';
import { expect } from 'chai';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import type { Capture } from '../../src/lab/capture.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { startUploads, UPLOAD_PORT } from './support/uploads.ts';

const BYTES = 1_000_000;
const REQUESTS = 8;
const MARKER = 'super-packets';

/** What each target leaves out; the routing host has everything. */
const SETTINGS: Readonly<Record<string, string>> = {
  target1: '',
  target2: 'offloads: { gso: false }\n',
  target3: 'offloads: { gro: false }\n',
  target4: 'link: { driver: dgram }\n',
};

/** Where networks carry many datagrams as one: hosts of every setting of the trusted link in one cluster. */
describe('the trusted link where super-packets cross', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let captured: Capture;
  let file = '';

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up(
      'super',
      {
        clients: 1,
        targets: 4,
        superPackets: true,
        tunnels: false,
        values: {
          rekey_time: 0,
          ike_rekey_time: 0,
          inbound_rules: `{ action: permit, protocol: tcp, ports: "80-${UPLOAD_PORT}" }`,
        },
      },
      async (lab) => {
        for (const [target, text] of Object.entries(SETTINGS))
          appendFileSync(`${lab.options.folder}/hosts/${target}/dvipa/dvipa.yaml`, text);
      },
    );
    file = startUploads(cluster, BYTES);
    await cluster.initiateAll();
    await cluster.installed();
    captured = await cluster.capture('cluster', ['udp', 'port', '4754'], true);
  });
  after(() => cluster?.down());

  const link = async (host: string) => (await cluster.ask(host, 'status')).link;

  /** Requests at once, so that every target has some and all of them send on the SA; each answer is checked. */
  async function fromEveryTarget(script: string, argv: readonly string[], sum: string): Promise<void> {
    const client = cluster.lab.host('client1');
    const requests = Array.from({ length: REQUESTS }, () =>
      client.exec(['sh', '-c', script, 'request', ...argv], { timeoutMs: 40_000 }),
    );
    const answers = await Promise.all(requests);
    expect(answers.map(({ stdout }) => stdout.slice(0, 64))).to.deep.equal(Array(REQUESTS).fill(sum));
    const hosts = new Set(answers.map(({ stderr }) => stderr.trim()));
    expect([...hosts].toSorted()).to.deep.equal(Object.keys(SETTINGS));
  }

  it('is opened as each host is told to', async () => {
    const all = await Promise.all(['router1', ...Object.keys(SETTINGS)].map(link));
    expect(all.map((of) => [of?.driver, of?.gso, of?.gro])).to.deep.equal([
      ['batch', true, true],
      ['batch', true, true],
      ['batch', false, true],
      ['batch', true, false],
      ['dgram', false, false],
    ]);
  });

  it('carries uploads to each target whole, many packets a system call', async () => {
    const script = 'curl -s --max-time 30 -w "%{stderr}%header{x-dvipa-host}" -T "$1" "$2"';
    const url = `http://${cluster.dvipa}:${UPLOAD_PORT}/`;
    await fromEveryTarget(script, [file, url], byteStreamSha256(BYTES));
    const router = await link('router1');
    expect(router?.sent, 'packets of uploads').to.be.greaterThan((REQUESTS * BYTES) / 1500);
    expect(router?.sent).to.be.greaterThan(1.5 * (router?.sendCalls ?? 0));
    const target = await link('target1');
    expect(target?.received).to.be.greaterThan(1.5 * (target?.receiveCalls ?? 0));
  });

  it('carries what each target sends to the routing host whole, many packets a system call', async () => {
    const script = 'curl -s --max-time 30 -w "%{stderr}%header{x-dvipa-host}" "$1" | sha256sum';
    const url = `http://${cluster.dvipa}/bytes/${BYTES}?marker=${MARKER}`;
    await fromEveryTarget(script, [url], byteStreamSha256(BYTES, MARKER));
    const [router, target] = [await link('router1'), await link('target1')];
    expect(target?.sent, 'packets to be stamped').to.be.greaterThan(1000);
    expect(target?.sent).to.be.greaterThan(1.5 * (target?.sendCalls ?? 0));
    expect(router?.received).to.be.greaterThan(1.5 * (router?.receiveCalls ?? 0));
  });

  it('crossed the cluster network in super-packets, but from a target without segmentation', async () => {
    const { file: pcap } = await captured.stop();
    const longest: Record<string, number> = {};
    for (const { bytes } of readPcap(pcap).packets) {
      const source = bytes.subarray(26, 30).join('.');
      longest[source] = Math.max(longest[source] ?? 0, bytes.readUInt16BE(16));
    }
    const [router, one, two, , four] = ['1', '11', '12', '13', '14'].map((n) => longest[`198.51.100.${n}`]);
    for (const whole of [router, one]) expect(whole).to.be.greaterThan(3000);
    for (const single of [two, four]) expect(single).to.be.at.most(1500);
  });

  it('lost nothing', async () => {
    const drops = await cluster.allDrops();
    for (const [host, reasons] of Object.entries(drops)) {
      const bad = Object.keys(reasons).filter((reason) =>
        /^link-|queue|send|overrun|too-big|stamp/.test(reason),
      );
      expect(bad, host).to.deep.equal([]);
    }
  });
});
