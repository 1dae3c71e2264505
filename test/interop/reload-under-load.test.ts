import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse, stringify } from 'yaml';
import { byteStreamSha256 } from '../../src/lab/byte-stream.ts';
import { dvipaCommand, ownProgram, PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import type { ReloadSnapshot } from '../../src/observe/snapshots.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { Load } from './support/load.ts';

const SECOND_DVIPA = '203.0.113.20';
/** Requests that show a share. */
const SAMPLE = 40;
/** Paced, so that it goes on for seconds while its target leaves. */
const DOWNLOAD = { bytes: 1_500_000, perSecond: 300_000 };
/** Far beyond a retransmission: what takes longer has failed. */
const REQUEST_SECONDS = 5;

/** What the tests change of the routing host's file. */
interface RouterFile {
  readonly outside: { interface: string };
  readonly dvipas: { address: string; targets: string[]; weights?: Record<string, number> }[];
  readonly targets: { host: string; address: string }[];
}

type Edit = readonly [string | RegExp, string];

/** Clients make one request after another, from the first test to the last one: not one of them fails. */
describe('dvipa reload under load', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  /** A target that is not configured at first. */
  let stranger: RouterFile['targets'][number];
  const loads: Load[] = [];

  before(async function () {
    this.timeout(180_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    const options = { tunnels: false, agents: false, values: { rekey_time: 0, ike_rekey_time: 0 } };
    cluster = await Cluster.up('rld', options);
    editRouter((file) => {
      stranger = file.targets.pop() as RouterFile['targets'][number];
      firstDvipa(file).targets.pop();
    });
    edit('router1', 'swanctl/swanctl.conf', ['cacerts = ca.pem', 'id = client1']);
    await cluster.lab.router.must(['swanctl', '--load-conns']);
    await cluster.startAgents(2);
    await cluster.lab.initiate('client1');
    await startLoad('client1');
  });

  after(async () => {
    await Promise.all(loads.map((load) => load.stop()));
    await cluster?.down();
  });

  /** Changes text of a host's file, which must be there; into the same file, for it may be mounted. */
  function edit(host: string, name: string, [from, to]: Edit): void {
    const file = cluster.file(`hosts/${host}/${name}`);
    const text = readFileSync(file, 'utf8');
    const changed = text.replace(from, to);
    expect(changed, `${String(from)} in ${file}`).to.not.equal(text);
    writeFileSync(file, changed);
  }

  /** Writes the routing host's configuration anew; returns it as it was. */
  function editRouter(change: (file: RouterFile) => void): string {
    const before = readFileSync(cluster.configFile('router1'), 'utf8');
    const file = parse(before) as RouterFile;
    change(file);
    writeFileSync(cluster.configFile('router1'), stringify(file));
    return before;
  }

  function firstDvipa({ dvipas }: RouterFile): RouterFile['dvipas'][number] {
    return dvipas[0] as RouterFile['dvipas'][number];
  }

  async function startLoad(client: string, address = cluster.dvipa): Promise<Load> {
    const load = Load.start(cluster, client, REQUEST_SECONDS, address);
    loads.push(load);
    await load.answered(10, 0);
    return load;
  }

  async function reload(host: string, ...args: string[]): Promise<ReloadSnapshot> {
    const text = await cluster.lab.host(host).must(dvipaCommand('reload', '--json', ...args));
    return JSON.parse(text) as ReloadSnapshot;
  }

  /** What the routing host says against its file. */
  async function refusal(...args: string[]): Promise<string> {
    const { status, stderr } = await cluster.lab.router.exec(dvipaCommand('reload', ...args));
    expect(status).to.equal(1);
    expect(stderr).to.match(/^dvipa: not reloaded, nothing has changed\n/);
    return stderr.replaceAll(cluster.configFile('router1'), 'FILE');
  }

  /** Who answered requests of all clients that began from now on, by name. */
  async function shares(count = SAMPLE): Promise<Record<string, number>> {
    const from = Date.now();
    const next = () => loads.flatMap((load) => load.since(from)).slice(0, count);
    await waitFor(`${count} requests`, () => next().length === count, { timeoutMs: 60_000 });
    const found: Record<string, number> = {};
    for (const { server = 'nobody' } of next()) found[server] = (found[server] ?? 0) + 1;
    return found;
  }

  const inboundSpis = async () =>
    (await cluster.ask('router1', 'sas')).filter(({ direction }) => direction === 'in').map(({ spi }) => spi);

  it('--dry-run shows a changed weight, and changes nothing', async () => {
    editRouter((file) => {
      firstDvipa(file).weights = { target2: 4 };
    });
    expect(await reload('router1', '--dry-run')).to.deep.include({
      isApplied: false,
      changes: [{ path: `dvipas[${cluster.dvipa}].weights.target2`, to: 4, effect: 'now' }],
    });
    const { target1 = 0 } = await shares();
    expect(target1).to.be.within(SAMPLE / 2 - 5, SAMPLE / 2 + 5);
  });

  it('a changed weight counts with the next connection', async () => {
    expect((await reload('router1')).isApplied).to.equal(true);
    await shares(10);
    const { target1 = 0, target2 = 0 } = await shares();
    expect([target1, target2].map((share) => Math.round((5 * share) / SAMPLE))).to.deep.equal([1, 4]);
  });

  it('a file that is wrong, or needs a restart, is refused with its places, and nothing changes', async () => {
    const good = editRouter((file) => {
      Object.assign(firstDvipa(file), { weights: { target2: 400 }, wieghts: {} });
    });
    const lines = readFileSync(cluster.configFile('router1'), 'utf8').split('\n');
    const lineOf = (text: string) => 1 + lines.findIndex((line) => line.includes(text));
    const wrong = await refusal();
    const weight = 'dvipas.0.weights.target2: 400, expected a weight from 1 to 100';
    expect(wrong).to.contain(`FILE:${lineOf('400')}:16: ${weight}`);
    expect(wrong).to.contain(`FILE:${lineOf('wieghts')}:5: dvipas.0.wieghts: unknown key`);
    writeFileSync(cluster.configFile('router1'), good);
    editRouter((file) => {
      file.outside.interface = 'outside1';
    });
    expect(await refusal('--dry-run')).to.contain(
      'outside.interface: "outside0" to "outside1" needs a restart',
    );
    writeFileSync(cluster.configFile('router1'), good);
    expect(await reload('router1')).to.deep.include({ isApplied: true, changes: [], warnings: [] });
    const { target1 = 0, target2 = 0 } = await shares();
    expect([target1, target2].map((share) => Math.round((5 * share) / SAMPLE))).to.deep.equal([1, 4]);
  });

  it('a new target gets its share', async () => {
    editRouter((file) => {
      file.targets.push(stranger); // at the end
      firstDvipa(file).targets.push(stranger.host);
      delete firstDvipa(file).weights;
    });
    await reload('router1');
    await cluster.serving(3);
    await cluster.installed(1);
    await shares(10);
    const { target3 = 0 } = await shares();
    expect(target3).to.be.within(SAMPLE / 3 - 6, SAMPLE / 3 + 6);
    const sas = await cluster.ask('target3', 'sas');
    expect(sas.map(({ packets }) => packets > 0)).to.deep.equal([true, true]);
  });

  it('a new connection of swanctl.conf is served with no word to us', async () => {
    edit('router1', 'swanctl/swanctl.conf', [/^connections {\n/, `connections {\n${secondConnection()}`]);
    await cluster.lab.router.must(['swanctl', '--load-conns']);
    await cluster.lab.initiate('client2');
    await startLoad('client2');
    const names = async () => (await cluster.ask('router1', 'sas')).map(({ ikeName }) => ikeName);
    await waitFor('the agent has its name', async () => (await names()).includes('second'));
    expect(await names()).to.have.members(['dvipa', 'dvipa', 'second', 'second']);
  });

  it('a new DVIPA is refused by name while charon’s plugin does not know it', async () => {
    editRouter(({ dvipas }) => {
      dvipas.push({ ...structuredClone(dvipas[0] as (typeof dvipas)[number]), address: SECOND_DVIPA });
    });
    expect(await refusal()).to.contain(`dvipas: ${SECOND_DVIPA} is not in the settings of charon's plugin`);
    const { dvipas } = await cluster.ask('router1', 'status');
    expect(dvipas.map(({ address }) => address)).to.deep.equal([cluster.dvipa]);
  });

  it('a new DVIPA answers as soon as the plugin and the hosts know it', async () => {
    edit('router1', 'strongswan.conf', [
      `dvipas = ${cluster.dvipa}`,
      `dvipas = ${cluster.dvipa}, ${SECOND_DVIPA}`,
    ]);
    await reload('router1');
    for (const target of cluster.targets) {
      edit(target, 'dvipa/dvipa.yaml', [`[${cluster.dvipa}]`, `[${cluster.dvipa}, ${SECOND_DVIPA}]`]);
      await reload(target);
      cluster.lab.host(target).spawn('http-second', [...ownProgram('lab/http-server'), target, SECOND_DVIPA]);
    }
    edit('client2', 'swanctl/swanctl.conf', [
      /children {\n/,
      `children {\n${secondChild('10.1.2.1', SECOND_DVIPA)}`,
    ]);
    await cluster.lab.host('client2').must(['swanctl', '--load-conns']);
    await cluster.lab.host('client2').must(['swanctl', '--initiate', '--child', 'second', '--timeout', '15']);
    const load = await startLoad('client2', SECOND_DVIPA);
    await load.answered(10, Date.now());
    expect(new Set(load.requests.map(({ server }) => server))).to.deep.equal(new Set(cluster.targets));
  });

  it('a removed target finishes what it has, then it is out: it has no SAs, and all that it knew are rekeyed', async () => {
    const downloads = await downloadsWith('target1');
    const before = await inboundSpis();
    editRouter((file) => {
      file.targets.shift();
      for (const dvipa of file.dvipas) dvipa.targets.shift();
    });
    await reload('router1');
    const hosts = async () => (await cluster.ask('router1', 'targets')).map(({ host }) => host);
    expect(await hosts()).to.deep.equal(['target1', 'target2', 'target3']);
    expect(downloads.at(-1)?.isOver, 'of target1').to.equal(false);
    await shares(10);
    expect(await shares(20)).to.not.have.any.keys('target1', 'nobody');
    for (const { hash } of downloads)
      expect(await hash).to.contain(byteStreamSha256(DOWNLOAD.bytes, 'leaving'));
    await waitFor('target1 is out', async () => (await hosts()).length === 2, { timeoutMs: 30_000 });
    await waitFor('all SAs are new', async () => {
      const now = await inboundSpis();
      return now.length === before.length && now.every((spi) => !before.includes(spi));
    });
    expect(await cluster.ask('target1', 'sas')).to.deep.equal([]);
    expect(await shares()).to.have.all.keys('target2', 'target3');
  });

  it('no request of all has failed', async () => {
    for (const load of loads) await load.stop();
    const failed = loads.map(({ requests }) => requests.filter(({ server }) => server === undefined).length);
    expect(failed).to.deep.equal([0, 0, 0]);
    expect(loads.reduce((sum, { requests }) => sum + requests.length, 0)).to.be.greaterThan(300);
    loads.length = 0;
  });

  /** Slow downloads, at least one of which this target serves. */
  async function downloadsWith(target: string) {
    const url = `http://${cluster.dvipa}/bytes/${DOWNLOAD.bytes}?marker=leaving&rate=${DOWNLOAD.perSecond}`;
    const all: { readonly headers: string; readonly hash: Promise<string>; isOver: boolean }[] = [];
    const served = () =>
      all.map(({ headers }) => /x-dvipa-host: (\w+)/.exec(readFileSync(headers, 'utf8'))?.[1]);
    while (!served().includes(target)) {
      const headers = cluster.file(`headers-${all.length}`);
      writeFileSync(headers, '');
      const script = `curl -sS --max-time 60 -D ${headers} '${url}' | sha256sum`;
      const hash = cluster.lab.host('client1').must(['sh', '-c', script], { timeoutMs: 70_000 });
      const one = { headers, hash, isOver: false };
      void hash.finally(() => {
        one.isOver = true;
      });
      all.push(one);
      await waitFor('an answer', () => !served().includes(undefined));
    }
    return all;
  }

  /** The connection of the routing host for one more client, with a child for one more DVIPA. */
  function secondConnection(): string {
    const text = readFileSync(cluster.file('hosts/router1/swanctl/swanctl.conf'), 'utf8');
    const [, body = ''] = /^connections {\n( {2}dvipa {[\s\S]*?\n {2}}\n)/.exec(text) ?? [];
    return body
      .replace('  dvipa {', '  second {')
      .replace('id = client1', 'id = client2')
      .replace(/children {\n/, `children {\n${secondChild(SECOND_DVIPA, '10.1.2.1')}`);
  }

  function secondChild(local: string, remote: string): string {
    const settings = ['mode = tunnel', `local_ts = ${local}/32`, `remote_ts = ${remote}/32`];
    return ['second {', ...settings, 'esp_proposals = aes128gcm16', 'rekey_time = 0', '}', ''].join('\n');
  }
});
