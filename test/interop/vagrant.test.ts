import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { must as runHere, run } from '../../src/lab/run.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { all } from '../support/all.ts';
import { CleanHost } from '../support/clean-root/clean-host.ts';
import { cleanRoot, missingForCleanRoot } from '../support/clean-root/clean-root.ts';
import { HostNetwork } from '../support/clean-root/host-network.ts';
import { installed } from '../support/clean-root/installing.ts';
import { type Machine, machineOf, must } from '../support/clean-root/machine.ts';
import { debianPackages } from '../support/clean-root/packages.ts';
import { SystemdGuest } from '../support/clean-root/systemd-guest.ts';
import { skipBecause } from '../support/summary-reporter.ts';

const FOLDER = join(PROJECT_ROOT, 'strongswan-conf/vagrant');
/** As the Vagrantfile has them; the first test holds both together. */
const HOSTS = {
  router1: { outside: '192.0.2.11', cluster: '198.51.100.1' },
  router2: { outside: '192.0.2.12', cluster: '198.51.100.2' },
  target1: { outside: '192.0.2.21', cluster: '198.51.100.11' },
  target2: { outside: '192.0.2.22', cluster: '198.51.100.12' },
  target3: { outside: '192.0.2.23', cluster: '198.51.100.13' },
  client1: { outside: '192.0.2.101' },
} as const;
type HostName = keyof typeof HOSTS;
const NAMES = Object.keys(HOSTS) as HostName[];
/** Hosts of a kind have the same packages: one disk with them for each. */
const diskOf = (name: HostName) => name.replace(/\d$/, '1');

/**
 * The provisioning of the Vagrantfile without a hypervisor: its scripts run on clean hosts with systemd, in its order. Packages come over
 * this machine's network, before the hosts are in their own. The client has a kernel with ESP (User Mode Linux).
 */
describe('Vagrantfile', function () {
  this.timeout(300_000);
  this.bail(true);
  const disks = new Map<string, CleanHost>();
  const machines = new Map<string, CleanHost | SystemdGuest>();
  let network: HostNetwork | undefined;
  let folder = '';

  before(async function () {
    const missing = missingForCleanRoot();
    if (missing !== undefined) skipBecause(this, missing);
    for (const [program, name] of [
      ['/usr/bin/vagrant', 'vagrant'],
      ['/usr/bin/linux.uml', 'user-mode-linux'],
    ] as const)
      if (!existsSync(program))
        skipBecause(this, `${name} is not installed (scripts/setup test installs it)`);
    folder = mkdtempSync(join(tmpdir(), 'dvipa-vagrant-'));
  });

  after(async () => {
    for (const machine of machines.values()) await machine.remove();
    for (const disk of disks.values()) await disk.remove();
    await network?.remove();
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  const vagrant = (...args: string[]) =>
    run(['vagrant', ...args], {
      cwd: PROJECT_ROOT,
      env: { VAGRANT_HOME: join(folder, 'home'), VAGRANT_DOTFILE_PATH: join(folder, 'dot') },
    });
  const machine = (name: HostName): Machine => machineOf(machines, name);

  it('is valid, and has a machine for each folder of its files', async () => {
    await debianPackages();
    const { status, stdout, stderr } = await vagrant('validate', '--ignore-provider');
    expect(status, stdout + stderr).to.equal(0);
    const named = [...stdout.matchAll(/^==> (\w+): Ignoring provider/gm)].map(([, name]) => name);
    const folders = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(named).to.have.members(folders.map(({ name }) => name));
    expect(named).to.have.members(NAMES);
  });

  it('gives each machine its own keys and no authority’s', async () => {
    await runHere([join(FOLDER, 'certificates'), join(folder, 'keys')]);
    for (const name of NAMES) {
      const keys = readdirSync(join(folder, 'keys', name), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.key'))
        .map((file) => file.replace(/.*\//, ''));
      expect(new Set(keys), name).to.deep.equal(new Set([`${name}.key`]));
    }
  });

  it('install has what each kind of host needs', async () => {
    const { agent, plugin } = await debianPackages();
    const install = async (name: string) => {
      const work = async (host: CleanHost) => {
        if (name === 'client1')
          await host.sh('apt-get update; apt-get install iproute2', { timeoutMs: 300_000 });
        host.copyIn(join(FOLDER, 'install'), '/root/install');
        await host.must(['sh', '/root/install', name, '/tmp/packages'], { timeoutMs: 300_000 });
      };
      disks.set(name, await installed(name, { folder: '/tmp/packages', files: [agent, plugin], work }));
    };
    await all([...new Set(NAMES.map(diskOf))].map(install));
  });

  it('configure starts what each host does, as often as it is run', async () => {
    const net = await HostNetwork.make('vagrant');
    network = net;
    const boot = async (name: HostName) => {
      const lower = [disks.get(diskOf(name))?.layer ?? '', await cleanRoot()];
      const links = Object.entries(HOSTS[name]).map(
        ([link, address]) =>
          ({
            link: link === 'outside' ? 'outside' : 'cluster',
            name: link === 'outside' ? 'eth1' : 'eth2',
            address: `${address}/24`,
          }) as const,
      );
      machines.set(
        name,
        name === 'client1'
          ? await SystemdGuest.boot(lower, await net.guestOptions(name, links))
          : await CleanHost.start(name, { lower, netns: await net.namespaceOf(name, links), systemd: true }),
      );
      await upload(name);
      const configure = [
        'sh',
        '/tmp/dvipa/configure',
        name,
        HOSTS[name].outside,
        '/tmp/dvipa/conf',
        '/tmp/dvipa/keys',
      ];
      for (const time of ['first', 'second']) {
        const { status, stdout, stderr } = await machine(name).exec(configure);
        expect(status, `${name}, ${time} time: ${stdout}${stderr}`).to.equal(0);
      }
      expect((await machine(name).exec(['test', '-e', '/tmp/dvipa/keys'])).status, 'keys are left').to.equal(
        1,
      );
    };
    await all(NAMES.map(boot));
  });

  it('client1 is answered by every target at 203.0.113.10', async () => {
    const answers = new Set<string>();
    await waitFor(
      'answers of all targets',
      async () => {
        answers.add(
          await must(machine('client1'), ['curl', '-s', '--max-time', '5', 'http://203.0.113.10/']),
        );
        return answers.size === 3;
      },
      { timeoutMs: 40_000 },
    );
    expect([...answers].toSorted()).to.deep.equal(['target1\n', 'target2\n', 'target3\n']);
    expect(await must(machine('client1'), ['ip', '-s', 'xfrm', 'state'])).to.contain(
      'src 192.0.2.10 dst 192.0.2.101',
    );
  });

  it('router2 has everything in place, and nothing of it runs', async () => {
    const units = ['dvipa-route', 'dvipa-endpoint', 'strongswan'];
    const states = await machine('router2').exec(['systemctl', 'is-active', ...units]);
    expect(states.stdout).to.equal('inactive\n'.repeat(3));
    const enabled = await machine('router2').exec(['systemctl', 'is-enabled', ...units]);
    expect(enabled.stdout).to.equal('disabled\n'.repeat(3));
    await must(machine('router2'), ['dvipa', 'check-config', '/etc/dvipa/dvipa.yaml']);
  });

  it('configure refuses a box whose interfaces have other names', async () => {
    const script = 'ip link set eth1 down; ip link set eth1 name ens5; exec sh /tmp/dvipa/configure "$@"';
    const args = ['router2', HOSTS.router2.outside, '/tmp/dvipa/conf', '/tmp/dvipa/keys'];
    const { status, stderr } = await machine('router2').exec(['sh', '-c', script, 'sh', ...args]);
    expect(status).to.equal(1);
    expect(stderr).to.contain('eth1 has not 192.0.2.12');
  });

  /** What the `file` provisioners do. */
  const upload = async (name: HostName) => {
    const send = async (from: string, what: string, to: string) => {
      const archive = await runHere(['sh', '-c', 'tar -c -C "$1" "$2" | base64 -w 0', 'sh', from, what]);
      const take = 'mkdir -p "$1"; base64 -d | tar -x -C "$1" --no-same-owner';
      await must(machine(name), ['sh', '-euc', take, 'sh', to], { input: archive });
    };
    await send(join(FOLDER, name), '.', '/tmp/dvipa/conf');
    await send(FOLDER, 'configure', '/tmp/dvipa');
    await send(join(folder, 'keys', name), '.', '/tmp/dvipa/keys');
  };
});
