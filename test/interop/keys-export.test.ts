import { appendFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { terminate } from '../../src/lab/charon.ts';
import type { Host } from '../../src/lab/host.ts';
import { dvipaCommand, PROJECT_ROOT } from '../../src/lab/program.ts';
import type { KeysExportSnapshot } from '../../src/observe/snapshots.ts';
import { type Answer, schemaViolations } from '../support/json-schema.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { tshark } from './support/tshark.ts';

const DOWNLOAD_BYTES = 100_000;
/** ESP proposals, as swanctl.conf writes them, that Wireshark can read and check. */
const SUITES = ['aes128gcm16', 'aes256gcm8', 'aes256-sha256', 'aes128-sha1', 'aes192ctr-sha512'];
/** Commands that list what an agent knows. */
const LISTS = ['status', 'sas', 'targets', 'connections', 'filters', 'lifesize', 'drops'];
const INNER = ['ip.src', 'ip.dst', 'tcp.srcport', 'tcp.dstport', 'http.request.full_uri'];
const ICV = ['esp.icv_good', 'esp.icv_bad', 'ip.dst'];

/** Keys of a cluster at work, given to a program that we did not write, and a capture of the network outside. */
describe('dvipa keys export', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let file: string;
  /** Every key that was exported. */
  const keys = new Set<string>();

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('key', {
      clients: 1,
      targets: 1,
      tunnels: false,
      values: { esp_proposals: [...SUITES, 'aes256ccm16'].join(',') },
    });
    file = cluster.file('hosts/router1/dvipa/esp_sa');
  });
  after(() => cluster?.down());

  const router = () => cluster.lab.router;
  const agentLog = () => readFileSync(join(cluster.lab.options.folder, 'logs/router1-agent.log'), 'utf8');
  const exportKeys = async () =>
    JSON.parse(await router().must(dvipaCommand('keys', 'export', '--json'))) as KeysExportSnapshot;

  /** A tunnel with these algorithms, and a download captured outside. */
  async function download(proposal: string): Promise<string> {
    const client = cluster.lab.host('client1');
    await terminate(client);
    cluster.lab.rewriteConfiguration('client1', { esp_proposals: proposal });
    await client.must(['swanctl', '--load-conns']);
    await cluster.lab.initiate('client1');
    await cluster.installed();
    const capture = await cluster.capture('outside');
    const url = `http://${cluster.dvipa}/bytes/${DOWNLOAD_BYTES}?marker=${proposal}`;
    await client.must(['curl', '-s', '-o', '/dev/null', '--max-time', '20', url]);
    const { file: pcap, droppedByKernel } = await capture.stop();
    expect(droppedByKernel).to.equal(0);
    return pcap;
  }

  it('is refused by an agent whose configuration does not allow it, and no file appears', async () => {
    const { status, stdout, stderr } = await router().exec(dvipaCommand('keys', 'export'));
    expect({ status, stdout }).to.deep.equal({ status: 1, stdout: '' });
    expect(stderr).to.contain('key export is off; to allow it, set keys_export');
    expect(existsSync(file)).to.equal(false);
    expect(agentLog()).to.match(/warn +key export refused .*reason=not-configured/);
  });

  it('is allowed after a restart with keys_export, and the agent says so', async () => {
    appendFileSync(cluster.configFile('router1'), '\nkeys_export: { file: esp_sa }\n');
    await cluster.lab.process('router1', 'agent').stop();
    const from = agentLog().length;
    cluster.lab.startAgent('router1');
    await cluster.serving();
    expect(agentLog().slice(from)).to.match(/warn +key export is allowed .*path=\S+\/esp_sa$/m);
    expect(existsSync(file)).to.equal(false);
  });

  for (const proposal of SUITES) {
    it(`${proposal}: tshark reads the download with the exported keys, ICVs included, and nothing without`, async () => {
      const pcap = await download(proposal);
      const from = agentLog().length;
      expect(await exportKeys()).to.deep.equal({ file, sas: 2, leftOut: [] });
      expect(statSync(file).mode & 0o7777).to.equal(0o600);
      for (const key of readFileSync(file, 'utf8').match(/(?<=0x)[0-9a-f]{32,}/g) ?? []) keys.add(key);

      const requests = tshark(pcap, file, INNER, 'http.request').rows;
      expect(requests.length).to.equal(1);
      const [sources = '', destinations = '', , port, uri] = requests[0] as readonly string[];
      const { innerAddress = '' } = cluster.lab.plan.find(({ name }) => name === 'client1') ?? {};
      expect([sources.split(',').at(-1), destinations.split(',').at(-1), port, uri]).to.deep.equal([
        innerAddress,
        cluster.dvipa,
        '80',
        `http://${cluster.dvipa}/bytes/${DOWNLOAD_BYTES}?marker=${proposal}`,
      ]);
      expect(tshark(pcap, file, ['http.content_length'], 'http.response').rows).to.deep.equal([
        [String(DOWNLOAD_BYTES)],
      ]);

      const esp = tshark(pcap, file, ICV, 'esp').rows;
      const faults = esp.filter(([good = '', bad = '']) => !/^(1|True)$/.test(good) || /1|True/.test(bad));
      expect(faults).to.deep.equal([]);
      const inner = new Set(esp.map(([, , both = '']) => both.split(',').at(-1)));
      expect([...inner]).to.have.members([cluster.dvipa, innerAddress]);
      expect(esp.length).to.be.above(DOWNLOAD_BYTES / 1500);

      // The control: the same capture without keys.
      expect(tshark(pcap, undefined, ['frame.number'], 'http || tcp').rows).to.deep.equal([]);
      expect(tshark(pcap, undefined, ['frame.number'], 'esp').rows.length).to.equal(esp.length);

      const said = agentLog().slice(from);
      expect(said).to.match(/warn +keys exported .*part="admin socket" .*sas=2 count=0/);
    });
  }

  it('names SAs that Wireshark cannot read, and takes the place of the export before', async () => {
    const before = readFileSync(file, 'utf8');
    const pcap = await download('aes256ccm16');
    const { sas, leftOut } = await exportKeys();
    expect(sas).to.equal(0);
    expect(leftOut.map(({ algorithm, reason }) => `${algorithm}: ${reason}`)).to.deep.equal(
      Array.from({ length: 2 }, () => 'AES_CCM_16-256: Wireshark does not know AES-CCM-16'),
    );
    const now = readFileSync(file, 'utf8');
    for (const line of before.split('\n').filter((each) => each.startsWith('"'))) {
      expect(now.includes(line), 'a line of the export before').to.equal(false);
    }
    // Comments are no fault of the table.
    const { rows, stderr } = tshark(pcap, file, ['frame.number'], 'tcp');
    expect(rows).to.deep.equal([]);
    expect(stderr).to.not.contain('Error loading');
  });

  it('and all lists answer in the form of docs/cli.schema.json, on both hosts', async () => {
    const answers: Answer[] = [['dvipa keys export', await exportKeys()]];
    const ask = async (host: Host, list: string): Promise<Answer> => [
      `dvipa ${list}`,
      JSON.parse(await host.must(dvipaCommand(list, '--json'))),
    ];
    for (const host of [router(), cluster.lab.host('target1')])
      answers.push(...(await Promise.all(LISTS.map((list) => ask(host, list)))));
    answers.push(['dvipa version', JSON.parse(await router().must(dvipaCommand('version', '--json')))]);
    expect(schemaViolations(answers)).to.deep.equal([]);
    expect(answers.at(-1)?.[1]).to.have.keys('dvipa', 'node', 'strongswan', 'plugin');
  });

  it('left no key in the log of the agent', () => {
    expect(keys.size).to.be.at.least(2 * SUITES.length);
    for (const key of keys) expect(agentLog().includes(key), 'a key in the log').to.equal(false);
    expect(agentLog()).to.not.match(/[0-9a-f]{40}/);
  });
});
