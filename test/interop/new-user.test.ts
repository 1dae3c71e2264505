import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { waitFor } from '../../src/lab/wait-for.ts';
import { CleanHost } from '../support/clean-root/clean-host.ts';
import { cleanRoot, missingForCleanRoot } from '../support/clean-root/clean-root.ts';
import { HostNetwork } from '../support/clean-root/host-network.ts';
import { installed } from '../support/clean-root/installing.ts';
import { machineOf, must, type } from '../support/clean-root/machine.ts';
import { debianPackages } from '../support/clean-root/packages.ts';
import { SystemdGuest } from '../support/clean-root/systemd-guest.ts';
import { all } from '../support/all.ts';
import { skipBecause } from '../support/summary-reporter.ts';
import { readmeSteps } from './support/readme-steps.ts';

/** What the machines of README's table have before the first step. */
const HOSTS = {
  router1: { eth0: '192.0.2.10/24', eth1: '198.51.100.1/24' },
  target1: { eth0: '192.0.2.21/24', eth1: '198.51.100.11/24' },
  target2: { eth0: '192.0.2.22/24', eth1: '198.51.100.12/24' },
  client1: { eth0: '192.0.2.101/24' },
} as const;
/** target2 is a copy of the disk that target1 has after its packages: the same block is for both. */
const DISKS = { router1: 'router1', target1: 'target1', target2: 'target1', client1: 'client1' } as const;
type HostName = keyof typeof HOSTS;
const NAMES = Object.keys(HOSTS) as HostName[];

/**
 * Clean Debian roots become a cluster by what README.md says and nothing else. Packages come over this machine's network, before the hosts
 * are in their own; systemd is real everywhere. Routing host and targets run under this machine's kernel, the client under one that has
 * ESP (User Mode Linux), since this machine's may have none.
 */
describe('a new user', function () {
  this.timeout(600_000);
  this.bail(true);
  const steps = readmeSteps('First steps on real hosts');
  const isInstalling = ({ script }: { script: string }) => script.includes('apt install');
  const disks = new Map<string, CleanHost>();
  const machines = new Map<string, CleanHost | SystemdGuest>();
  let network: HostNetwork | undefined;
  let folder = '';

  before(async function () {
    const missing = missingForCleanRoot();
    if (missing !== undefined) skipBecause(this, missing);
    if (!existsSync('/usr/bin/linux.uml'))
      skipBecause(this, 'user-mode-linux is not installed (scripts/setup test installs it)');
    folder = mkdtempSync(join(tmpdir(), 'dvipa-new-user-'));
  });

  after(async function () {
    if (this.currentTest?.state === 'failed') {
      for (const name of ['router1', 'target1'])
        if (machines.has(name))
          console.log(
            (await machineOf(machines, name).exec(['journalctl', '-b', '--no-pager', '-n', '30'])).stdout,
          );
    }
    for (const machine of machines.values()) await machine.remove();
    for (const disk of disks.values()) await disk.remove();
    await network?.remove();
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  /** Types the first step that has this text, on each of its hosts; what each said. */
  const typeStep = async (part: string): Promise<Map<string, string>> => {
    const step = steps.find(({ script }) => script.includes(part));
    if (step === undefined) throw new Error(`README.md has no step with '${part}'`);
    const said = await Promise.all(
      step.hosts.map(async (host) => [host, await type(step.script, host, machines)] as const),
    );
    return new Map(said);
  };

  it('installs the packages on clean hosts', async () => {
    const { agent, plugin } = await debianPackages();
    const files = [agent, plugin];
    const install = async (name: string) => {
      const step = steps.find((one) => isInstalling(one) && one.hosts.includes(name));
      if (step === undefined) throw new Error(`README.md installs nothing on ${name}`);
      const work = async (host: CleanHost) => {
        // For us, to give it its address: minbase has not, Debian's installer has. Our own packages must depend on it.
        if (name === 'client1')
          await host.sh('apt-get update; apt-get install iproute2', { timeoutMs: 300_000 });
        await type(step.script, name, new Map([[name, host]]), 300_000);
      };
      disks.set(name, await installed(name, { folder: '/root', files, work }));
    };
    await all([...new Set(Object.values(DISKS))].map(install));
  });

  it('has four hosts of these disks, on two networks, and nothing of ours runs', async () => {
    const net = await HostNetwork.make('new-user');
    network = net;
    const boot = async (name: HostName) => {
      const lower = [disks.get(DISKS[name])?.layer ?? '', await cleanRoot()];
      const links = Object.entries(HOSTS[name]).map(
        ([link, address]) =>
          ({ link: link === 'eth0' ? 'outside' : 'cluster', name: link, address }) as const,
      );
      machines.set(
        name,
        name === 'client1'
          ? await SystemdGuest.boot(lower, await net.guestOptions(name, links))
          : await CleanHost.start(name, { lower, netns: await net.namespaceOf(name, links), systemd: true }),
      );
    };
    await all(NAMES.map(boot));
    const units = ['systemctl', 'is-active', 'dvipa-route', 'dvipa-target'];
    for (const name of ['router1', 'target1', 'target2'])
      expect((await machineOf(machines, name).exec(units)).stdout, name).to.equal('inactive\ninactive\n');
  });

  it('types every step on the hosts that it is for, and each succeeds', async () => {
    const left = steps.filter((step) => !isInstalling(step));
    expect(left.length).to.be.above(5);
    const client = left.findIndex(({ hosts }) => hosts.includes('client1'));
    for (const step of left.slice(0, client))
      await Promise.all(step.hosts.map((host) => type(step.script, host, machines)));
  });

  it('the client’s requests are answered by both targets, through the tunnel', async () => {
    if (network === undefined) throw new Error('no network');
    const captures = [await network.capture('outside', folder), await network.capture('cluster', folder)];
    const said = (await typeStep('curl http://203.0.113.10/')).get('client1') ?? '';
    expect(said.trim().split('\n').slice(-2).toSorted()).to.deep.equal(['target1', 'target2']);
    // That a capture shows what is clear: the same words, sent as they are.
    const spoken = `HTTP/1.1 200 clear`;
    for (const address of ['192.0.2.21', '198.51.100.11'])
      await must(machineOf(machines, 'router1'), ['bash', '-c', `echo '${spoken}' >/dev/udp/${address}/9`]);
    for (const capture of captures) {
      await waitFor(`${capture.file} has what was said in clear`, () => capture.hasText(spoken));
      await capture.stop();
      expect(capture.hasText('HTTP/1.1 200 OK'), capture.file).to.equal(false);
      expect(await capture.count('host 203.0.113.10'), capture.file).to.equal(0);
    }
    expect(await captures[0]?.count('esp and src host 192.0.2.101 and dst host 192.0.2.10')).to.be.above(4);
    expect(await captures[0]?.count('esp and src host 192.0.2.10 and dst host 192.0.2.101')).to.be.above(4);
  });

  it('dvipa and swanctl show the cluster at work', async () => {
    const said = (await typeStep('dvipa drops')).get('router1') ?? '';
    for (const word of ['router1', 'target1', 'target2', '203.0.113.10', 'web'])
      expect(said).to.contain(word);
    expect([...(await typeStep('dvipa doctor')).keys()]).to.have.length(3);
    const targets = await must(machineOf(machines, 'router1'), ['dvipa', 'status', '--json']);
    expect(JSON.parse(targets)).to.nested.include({ 'charon.connected': true });
  });
});
