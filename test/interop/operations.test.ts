import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Finding } from '../../src/doctor/finding.ts';
import { requestMany } from '../../src/lab/demo/traffic.ts';
import { dvipaCommand, PROJECT_ROOT } from '../../src/lab/program.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { failureTable, type NamedBy } from '../support/failure-table.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { type Failure, Failures, type HostName } from './support/failures.ts';
import { bringCertificate, issueCertificateOf } from './support/odd-certificates.ts';

/** What takes minutes, luck or a clock of its own to cause is caused in another test: where, and a text that stands there. */
const ELSEWHERE: Readonly<Record<string, readonly [file: string, text: string]>> = {
  'clock-not-set': ['test/doctor/cluster.test.ts', "['clock warn', { isClockSynchronised: false }"],
  'forged-packets': ['test/agents/health.test.ts', 'is sas-attacked while packets'],
  'verification-budget-used-up': ['test/agents/health.test.ts', 'is verification-short for a minute'],
  'marks-lost': ['test/agents/health.test.ts', 'is sas-without-numbers while'],
  'connection-table-full': ['test/agents/health.test.ts', 'is connections-full before'],
  overrun: ['test/agents/health.test.ts', 'is receive-overrun for a minute'],
};
/** What can be there at the same time: no two are told by one name on one host. */
const ROUNDS: readonly (readonly string[])[] = [
  [
    'cluster-mtu-too-large',
    'firewall-drops-esp',
    'firewall-drops-link',
    'plugin-without-an-address',
    'rp-filter-strict',
    'dvipa-elsewhere',
    'drain-forgotten',
  ],
  ['switch-mtu-too-small', 'endpoint-missing', 'duplicate-address', 'maintenance-forgotten'],
  ['certificate-expired', 'certificate-of-another-host', 'certificate-of-another-ca', 'key-readable'],
  ['cluster-interface-down', 'outside-interface-down', 'configuration-wrong'],
  ['target-host-dead', 'plugin-for-another-strongswan', 'guard-flushed'],
  ['cluster-network-cut', 'charon-without-plugin'],
  ['target-agent-dead', 'no-target-left', 'plugin-of-another-version'],
  ['guard-flushed-unattended', 'link-port-taken', 'coupling-port-taken'],
  ['routing-agent-dead'],
  ['tun-deleted', 'charon-down'],
  ['target-without-a-dvipa'],
];
const HOSTS = ['router1', 'target1', 'target2'] as const;

describe('each failure in docs/operations.md', function () {
  this.timeout(60_000);
  // What one round leaves behind is no news of the next one.
  this.bail(true);
  const table = failureTable();
  let cluster: Cluster;
  let failures: Map<string, Failure>;

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('ops', { clients: 1, targets: 2, tunnels: false });
    failures = new Map(new Failures(cluster).all().map((each) => [each.failure, each]));
  });
  after(() => cluster?.down());

  /** What a host's agent tells now, as `router1 status charon-lost`. */
  async function toldByStatus(host: HostName): Promise<string[]> {
    try {
      const { health } = await cluster.ask(host, 'status');
      return health.warnings.map(({ name }) => `${host} status ${name}`);
    } catch {
      return []; // no agent
    }
  }

  /** What its doctor tells now, as `router1 doctor agent warn`. */
  async function toldByDoctor(host: HostName): Promise<string[]> {
    const command = dvipaCommand('doctor', '--json', '-c', cluster.configFile(host));
    const { stdout } = await cluster.lab.host(host).exec(command);
    return (JSON.parse(stdout) as Finding[]).map(({ id, status }) => `${host} doctor ${id} ${status}`);
  }

  /** Those of the names that are told now. Nobody is asked in vain: a doctor takes a second or two. */
  async function toldOf(names: readonly string[]): Promise<string[]> {
    const asks = { status: toldByStatus, doctor: toldByDoctor };
    const asked = HOSTS.flatMap((host) =>
      (['status', 'doctor'] as const)
        .filter((tool) => names.some((name) => name.startsWith(`${host} ${tool} `)))
        .map((tool) => asks[tool](host)),
    );
    const told = new Set((await Promise.all(asked)).flat());
    return names.filter((name) => told.has(name));
  }

  function expectedOf({ failure, on }: Failure): string[] {
    const named: readonly NamedBy[] = table.get(failure) ?? [];
    const places = { H: [on], R: ['router1'], T: ['target1', 'target2'] };
    return named.flatMap(({ where, tool, name }) => places[where].map((host) => `${host} ${tool} ${name}`));
  }

  /** All of the names have been told at some time. */
  async function named(names: readonly string[]): Promise<void> {
    let missing = names;
    const isAll = async () => {
      const told = await toldOf(missing);
      missing = missing.filter((name) => !told.includes(name));
      return missing.length === 0;
    };
    await waitFor('all is told', isAll, { timeoutMs: 20_000 }).catch(() => {
      throw new Error(`nobody says ${missing.join(', ')}`);
    });
  }

  /** None of the names is told. */
  async function undone(names: readonly string[]): Promise<void> {
    let left = names;
    const isNone = async () => (left = await toldOf(names)).length === 0;
    await waitFor('nothing is told', isNone, { timeoutMs: 30_000 }).catch(() => {
      throw new Error(`still there: ${left.join(', ')}`);
    });
  }

  it('has a name, and is caused here or in a test that says so', () => {
    for (const [failure, namedBy] of table) expect(namedBy, failure).to.not.have.lengthOf(0);
    expect(ROUNDS.flat()).to.have.members([...failures.keys()]);
    expect([...ROUNDS.flat(), ...Object.keys(ELSEWHERE)]).to.have.members([...table.keys()]);
    for (const [failure, [file, text]] of Object.entries(ELSEWHERE)) {
      expect(readFileSync(`${PROJECT_ROOT}/${file}`, 'utf8'), failure).to.contain(text);
      for (const { name } of table.get(failure) ?? []) expect(text, failure).to.contain(name);
    }
  });

  it('is there in no cluster at work', async () => {
    await undone([...failures.values()].flatMap(expectedOf));
  });

  for (const round of ROUNDS) {
    it(`is named while it is there, and not any more when the page is heeded: ${round.join(', ')}`, async () => {
      const these = round.map((failure) => failures.get(failure) as Failure);
      const expected = these.flatMap(expectedOf);
      expect(new Set(expected).size, 'one name for each').to.equal(expected.length);
      for (const { cause } of these) await cause();
      await named(expected);
      for (const { undo } of these.toReversed()) await undo();
      await undone(expected);
    });
  }

  it('charon-down: a tunnel that is there goes on, until the next charon, which knows none', async () => {
    const requests = () => requestMany(cluster.lab.host('client1'), cluster.dvipa, 6);
    await cluster.installed();
    await cluster.lab.process('router1', 'charon').kill('SIGKILL');
    await named(['router1 status charon-lost']);
    expect((await requests()).failed).to.equal(0);
    await cluster.lab.startCharon('router1');
    await undone(['router1 status charon-lost']);
    await waitFor('no SA is left', async () => (await cluster.ask('router1', 'sas')).length === 0);
  });

  it('is none while a CA is replaced as the page says, with two certificates in its file', async () => {
    const folder = await issueCertificateOf(cluster, 'target1', 'other-ca');
    const both = [`${folder}/ca.pem`, cluster.file('pki/coupling/ca.pem')];
    const text = both.map((file) => readFileSync(file, 'utf8')).join('');
    for (const host of HOSTS) {
      writeFileSync(cluster.file(`hosts/${host}/dvipa/ca.pem`), text);
      await cluster.lab.host(host).must(dvipaCommand('reload'));
    }
    bringCertificate(cluster, 'target1', folder);
    await cluster.lab.host('target1').must(dvipaCommand('reload'));
    await cluster.lab.process('router1', 'agent').kill('SIGKILL');
    cluster.lab.startAgent('router1');
    await cluster.serving();
    await undone(HOSTS.map((host) => `${host} doctor certificate-chain fail`));
  });
});
