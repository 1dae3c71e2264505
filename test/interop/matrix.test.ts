import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { DropReason } from '../../src/base/verdict.ts';
import type { LabHostPlan } from '../../src/lab/addresses.ts';
import type { Capture } from '../../src/lab/capture.ts';
import { hostFolder } from '../../src/lab/host-files.ts';
import { PROJECT_ROOT, sourceLoader } from '../../src/lab/program.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import {
  describeCell,
  FIRST_PORT,
  type Group,
  groupName,
  groupsOf,
  type PeerKind,
  SUITES,
} from './support/matrix/cells.ts';
import { peerConf } from './support/matrix/charon-conf.ts';
import { kernelFaults } from './support/matrix/kernel-counters.ts';
import { exampleOf, OBSTACLES, PEERS, planMatrix, type PlannedCell } from './support/matrix/plan.ts';
import { PeerRun } from './support/matrix/run.ts';
import { ScapyPeer } from './support/matrix/scapy-peer.ts';
import { renderPage } from './support/matrix/table.ts';
import { Worker } from './support/matrix/worker-client.ts';
import { skipBecause } from '../support/summary-reporter.ts';

/** What a packet of a good peer must never be dropped for. */
const FAULTS: readonly DropReason[] = [
  'truncated',
  'malformed',
  'checksum',
  'icv',
  'padding',
  'peek-malformed',
  'replay',
  'inner-not-dvipa',
  'tunnel-check',
  'filter',
];
const HOSTS: Readonly<Record<PeerKind, string>> = {
  kernel: 'kernel1',
  libipsec: 'client1',
  scapy: 'client2',
};
const FILE_BYTES: Readonly<Record<PeerKind, number>> = { kernel: 50_000, libipsec: 50_000, scapy: 10_000 };

const PLAN = planMatrix();
/** For whoever looks into one cell: DVIPA_MATRIX_CELLS is a regular expression for names of cells; `.` is all of them. */
const ONLY = process.env['DVIPA_MATRIX_CELLS'];
const isRun = (cell: PlannedCell) =>
  ONLY === undefined ? cell.isEveryTime : new RegExp(ONLY).test(describeCell(cell));
const RUN = PLAN.filter((cell) => cell.obstacle === undefined && isRun(cell));

/** Every algorithm, in two proposals: those that need no other one, and those that do. */
function everyProposal(): string {
  const keywords = SUITES.map(({ proposal }) => proposal.split('-'));
  const single = keywords.filter((words) => words.length === 1).flat();
  const pairs = keywords.filter((words) => words.length === 2);
  const both = [0, 1].flatMap((at) => [...new Set(pairs.map((words) => words[at]))]);
  return [single, both].map((words) => `${words.join('-')}-esn-noesn`).join(', ');
}

interface Peer {
  readonly groups: readonly Group[];
  /** Its name in swanctl.conf to the end of its cells. */
  readonly done: ReadonlyMap<string, Promise<void>>;
  readonly run: Promise<PeerRun>;
}

/**
 * Every algorithm with every peer, in all wrappings or in some, as docs/interoperability.md tells. The peers work side by side, each
 * on its groups of cells in turn.
 */
describe('interoperability matrix', function () {
  this.timeout(30 * 60_000);
  let cluster: Cluster;
  let scapy: ScapyPeer | undefined;
  let clear: Capture;
  const kernelSaid: Record<string, number>[] = [];
  const peers = new Map<PeerKind, Peer>();

  before(async () => {
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('mx', {
      scenario: 'matrix',
      clients: 2,
      kernels: 1,
      targets: 2,
      tunnels: false,
      servers: false,
      values: { esp_proposals: everyProposal() },
    });
    clear = await cluster.capture('outside', ['tcp']);
    startServers();
    for (const kind of PEERS) peers.set(kind, startPeer(kind));
  });

  after(async () => {
    for (const { run } of peers.values())
      await run.then(
        (one) => one.close(),
        () => {},
      );
    await cluster?.down();
  });

  function startServers(): void {
    const { dvipa, dvipa6 = '' } = cluster.lab.scenario;
    const program = fileURLToPath(new URL('./support/matrix/file-server.ts', import.meta.url));
    const argv = [
      process.execPath,
      '--import',
      sourceLoader(),
      program,
      String(FIRST_PORT),
      String(PLAN.length),
    ];
    for (const target of cluster.targets) cluster.lab.host(target).spawn('files', [...argv, dvipa, dvipa6]);
  }

  function startPeer(kind: PeerKind): Peer {
    const groups = groupsOf(RUN.filter(({ peer }) => peer === kind));
    const run = groups.length === 0 ? Promise.reject(new Error('no cells')) : prepare(kind, groups);
    run.catch(() => {});
    const done = new Map<string, Promise<void>>();
    let last: Promise<unknown> = Promise.resolve();
    for (const group of groups) {
      const ended = Promise.allSettled([last]).then(async () => {
        await (await run).runGroup(group, () => afterChunk(kind));
      });
      ended.catch(() => {});
      done.set(group.name, ended);
      last = ended;
    }
    return { groups, done, run };
  }

  function planOf(kind: PeerKind): LabHostPlan {
    const plan = cluster.lab.plan.find((host) => host.name === HOSTS[kind]);
    if (plan === undefined) throw new Error(HOSTS[kind]);
    return plan;
  }

  /** Gives a peer's charon the connections of these cells. */
  async function loadGroups(kind: PeerKind, groups: readonly Group[]): Promise<void> {
    const { lab } = cluster;
    const conf = join(hostFolder(lab.options.folder, HOSTS[kind]), 'swanctl/matrix.conf');
    writeFileSync(conf, peerConf(groups, planOf(kind), lab.scenario));
    const load = ['swanctl', '--load-all', '--file', '/etc/swanctl/matrix.conf'];
    await lab.host(HOSTS[kind]).must(load, { timeoutMs: 120_000 });
  }

  async function prepare(kind: PeerKind, groups: readonly Group[]): Promise<PeerRun> {
    const name = HOSTS[kind];
    const { lab } = cluster;
    const plan = planOf(kind);
    if (kind === 'scapy') scapy = await ScapyPeer.start(cluster, name);
    await loadGroups(kind, groups);
    const worker = await Worker.start(lab.host(name), cluster.file(`worker-${name}`));
    const onKeys = kind === 'scapy' ? { onKeys: scapyKeys } : {};
    return PeerRun.open({ cluster, plan, worker, fileBytes: FILE_BYTES[kind], ...onKeys });
  }

  const scapyKeys: ScapyPeer['takeKeys'] = async (children, cells) => scapy?.takeKeys(children, cells);

  async function afterChunk(kind: PeerKind): Promise<void> {
    if (kind === 'kernel') kernelSaid.push(await kernelFaults(cluster.lab.host(HOSTS.kernel)));
  }

  for (const kind of PEERS) {
    for (const { name, cells } of groupsOf(RUN.filter(({ peer }) => peer === kind))) {
      it(`${kind}, ${name}: files go both ways, before and after a rekey, in ${cells.length} cells`, async () => {
        const peer = peers.get(kind);
        await peer?.done.get(name);
        const faults = await faultsOf(kind);
        const said = cells.flatMap((cell) => {
          const fault = faults.get(cell);
          return fault === undefined ? [] : [`${describeCell(cell)}: ${fault}`];
        });
        expect(said, said.join('\n')).to.deep.equal([]);
      });
    }
  }

  async function faultsOf(kind: PeerKind): Promise<PeerRun['faults']> {
    return (await peers.get(kind)?.run)?.faults ?? new Map();
  }

  it('the kernel itself counts no failed integrity check, no replay and no other error', function () {
    if (!RUN.some(({ peer }) => peer === 'kernel')) skipBecause(this, 'no cell of the kernel was chosen');
    expect(kernelSaid).to.not.have.length(0);
    expect(kernelSaid.filter((counts) => Object.keys(counts).length > 0)).to.deep.equal([]);
  });

  it('scapy seals and opens, and finds no wrong ICV, no number twice and nothing that it cannot parse', function () {
    if (!RUN.some(({ peer }) => peer === 'scapy')) skipBecause(this, 'no cell of scapy was chosen');
    const counts = scapy?.counts();
    expect(counts).to.have.all.keys('sealed', 'opened');
    expect(counts?.['sealed']).to.be.greaterThan(10 * RUN.filter(({ peer }) => peer === 'scapy').length);
  });

  it('nothing of all that crosses the outside network in clear', async () => {
    for (const { done } of peers.values()) for (const ended of done.values()) await ended.catch(() => {});
    const { packets, droppedByKernel } = await clear.stop();
    expect([packets, droppedByKernel]).to.deep.equal([0, 0]);
  });

  it('no agent drops a packet for a fault of a packet', async () => {
    const drops = Object.entries(await cluster.allDrops()).flatMap(([host, counts]) =>
      FAULTS.filter((reason) => (counts[reason] ?? 0) > 0).map(
        (reason) => `${host}: ${reason} ${counts[reason]}`,
      ),
    );
    expect(drops).to.deep.equal([]);
  });

  for (const kind of PEERS) {
    for (const obstacle of OBSTACLES[kind]) {
      it(`${kind} cannot, since ${obstacle.reason}: its own charon says "${obstacle.words}"`, async function () {
        if (!RUN.some(({ peer }) => peer === kind)) skipBecause(this, `no cell of ${kind} was chosen`);
        const cell = exampleOf(obstacle, PLAN);
        const run = await peers.get(kind)?.run;
        if (cell === undefined || run === undefined) throw new Error('no such cell, or no peer');
        for (const ended of peers.get(kind)?.done.values() ?? []) await ended.catch(() => {});
        const host = cluster.lab.host(HOSTS[kind]);
        const log = join(cluster.lab.options.folder, `logs/${host.name}-charon.log`);
        const from = readFileSync(log).length;
        await loadGroups(kind, groupsOf([cell]));
        expect(await run.attempt(cell)).to.contain(obstacle.fault);
        const said = readFileSync(log).subarray(from).toString();
        const { stdout: listed } = await host.exec(['swanctl', '--list-sas']);
        await host.exec(['swanctl', '--terminate', '--ike', groupName(cell.wrapping)]);
        expect(said + listed).to.contain(obstacle.words);
        const ours = readFileSync(join(cluster.lab.options.folder, 'logs/router1-charon.log'), 'utf8');
        expect(ours).to.not.contain('is refused');
      });
    }
  }

  it('docs/interoperability.md says what was found', async function () {
    if (ONLY !== undefined && ONLY !== '.') skipBecause(this, 'DVIPA_MATRIX_CELLS chose some cells');
    const failures = new Map<PlannedCell, string>();
    for (const kind of PEERS.filter((peer) => RUN.some((cell) => cell.peer === peer))) {
      for (const [cell, fault] of await faultsOf(kind)) failures.set(cell as PlannedCell, fault);
    }
    const page = renderPage(PLAN, failures);
    const file = join(PROJECT_ROOT, 'out/interoperability.md');
    mkdirSync(join(PROJECT_ROOT, 'out'), { recursive: true });
    writeFileSync(file, page);
    expect(readFileSync(join(PROJECT_ROOT, 'docs/interoperability.md'), 'utf8')).to.equal(page);
  });
});
