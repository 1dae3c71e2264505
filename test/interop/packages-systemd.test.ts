import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { waitFor } from '../../src/lab/wait-for.ts';
import type { CleanHost } from '../support/clean-root/clean-host.ts';
import { cleanRoot, missingForCleanRoot } from '../support/clean-root/clean-root.ts';
import { debianPackages, hostWith } from '../support/clean-root/packages.ts';
import { SystemdGuest } from '../support/clean-root/systemd-guest.ts';
import { skipBecause } from '../support/summary-reporter.ts';

const GUEST_NFT = fileURLToPath(new URL('../support/clean-root/guest-nft.sh', import.meta.url));
const DVIPA = '203.0.113.10';
const ENDPOINT = '192.0.2.10';
const PLUGIN_CONF = '/etc/strongswan.d/charon/kernel-dvipa.conf';
/** CAP_NET_ADMIN and CAP_NET_RAW. */
const CAPABILITIES = '0000000000003000';

const CONFIGURATIONS = {
  route: `host: router1
role: route
dvipas: [{ address: ${DVIPA}, endpoint: ${ENDPOINT}, inbound_filter: filter, targets: [target1] }]
outside: { interface: outside0 }
cluster: { interface: cluster0, address: 198.51.100.1 }
targets: [{ host: target1, address: 198.51.100.11 }]
coupling:
  { ca: /etc/dvipa/pki/ca.pem, certificate: /etc/dvipa/pki/router1.pem, key: /etc/dvipa/pki/router1.key }
`,
  target: `host: target1
role: target
dvipas: [${DVIPA}]
router: { host: router1, address: 198.51.100.1 }
cluster: { interface: cluster0, address: 198.51.100.11 }
outside: { interface: outside0 }
source_ports: { manage: true }
tun: { name: dvipa0, mtu: 1360 }
coupling:
  { ca: /etc/dvipa/pki/ca.pem, certificate: /etc/dvipa/pki/target1.pem, key: /etc/dvipa/pki/target1.key }
`,
} as const;
type Role = keyof typeof CONFIGURATIONS;

describe('packages under systemd', function () {
  this.timeout(300_000);
  let host: CleanHost | undefined;
  let guest: SystemdGuest | undefined;

  before(async function () {
    const missing = missingForCleanRoot();
    if (missing !== undefined) skipBecause(this, missing);
    if (!existsSync('/usr/bin/linux.uml'))
      skipBecause(this, 'user-mode-linux is not installed (scripts/setup test installs it)');
    const { agent, plugin } = await debianPackages();
    host = await hostWith('systemd', agent, plugin);
    const recommended = ['strongswan-pki', 'libstrongswan-standard-plugins'];
    await host.must(['apt-get', '-q', '-y', 'install', '--no-install-recommends', ...recommended], {
      timeoutMs: 120_000,
    });
    // As docs/packages.md has it, but that both hosts are one.
    await host.sh(`dvipa pki init
      dvipa pki issue --role route router1
      dvipa pki issue --role target target1
      chmod 0640 /etc/dvipa/pki/router1.key /etc/dvipa/pki/target1.key`);
    await host.must(['mv', '/usr/sbin/nft', '/usr/sbin/nft.real']);
    host.write('/usr/sbin/nft', readFileSync(GUEST_NFT), 0o755);
    await host.stop();
    guest = await SystemdGuest.boot([host.layer, await cleanRoot()]);
    await guest.sh(`for link in outside0 cluster0; do ip link add $link type dummy; ip link set $link up; done
      ip address add ${ENDPOINT}/24 dev outside0
      ip address add 198.51.100.1/24 dev cluster0
      ip address add 198.51.100.11/24 dev cluster0`);
  });

  afterEach(async function () {
    if (this.currentTest?.state !== 'failed' || guest?.isAlive !== true) return;
    console.log((await guest.exec(['journalctl', '-b', '--no-pager', '-n', '60'])).stdout);
  });

  after(async () => {
    await guest?.remove();
    await host?.remove();
  });

  const there = (): SystemdGuest => {
    if (guest === undefined) throw new Error('not booted');
    return guest;
  };
  const property = async (unit: string, name: string) =>
    (await there().must(['systemctl', 'show', '-P', name, unit])).trim();
  const isConnected = async () => {
    const status = await there().must(['dvipa', 'status', '--json']);
    return (JSON.parse(status) as { charon: { connected: boolean } }).charon.connected;
  };
  const tables = () => there().must(['nft', 'list', 'tables']);
  const configure = (role: Role) =>
    there().must(['install', '-m', '0640', '-g', 'dvipa', '/dev/stdin', '/etc/dvipa/dvipa.yaml'], {
      input: CONFIGURATIONS[role],
    });

  /** What the kernel says about the agent's process. */
  const expectConfined = async (unit: string) => {
    const pid = await property(unit, 'MainPID');
    const status = await there().must(['cat', `/proc/${pid}/status`]);
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
    expect(await there().must(['stat', '-c', '%U', `/proc/${pid}`])).to.equal('dvipa\n');
    for (const set of ['CapEff', 'CapBnd', 'CapPrm', 'CapAmb'])
      expect(field(set), set).to.equal(CAPABILITIES);
    expect(field('NoNewPrivs')).to.equal('1');
    expect(field('Seccomp'), 'a filter of system calls').to.equal('2');
    expect(await there().must(['cat', `/proc/${pid}/limits`])).to.match(/^Max core file size\s+0\s+0\s/m);
    expect(await there().must(['cat', `/sys/fs/cgroup/system.slice/${unit}/memory.swap.max`])).to.equal(
      '0\n',
    );
  };

  it('charon runs as before while the plugin is not configured, and its socket is not the agent’s', async () => {
    expect(await property('strongswan', 'ActiveState')).to.equal('active');
    expect(await there().must(['stat', '-c', '%G', '/run/charon.vici'])).to.equal('root\n');
    expect(await there().must(['swanctl', '--stats'])).to.not.contain('kernel-dvipa');
  });

  for (const role of ['route', 'target'] as const) {
    it(`dvipa-${role} does not start without a configuration, which is no failure`, async () => {
      await there().must(['systemctl', 'start', `dvipa-${role}`]);
      expect(await property(`dvipa-${role}`, 'ActiveState')).to.equal('inactive');
      expect(await property(`dvipa-${role}`, 'ConditionResult')).to.equal('no');
    });
  }

  it('routing agent is up, confined, and waits while charon has no plugin', async () => {
    await configure('route');
    await there().must(['systemctl', 'enable', '--now', 'dvipa-route']);
    expect(await property('dvipa-route', 'ActiveState')).to.equal('active');
    await expectConfined('dvipa-route.service');
    expect(await isConnected()).to.equal(false);
    expect(await tables()).to.contain('dvipa_route');
  });

  it('routing agent finds charon when the plugin is switched on, without being root', async () => {
    await there().must([
      'sed',
      '-i',
      `s/load = no/load = yes/; s/# dvipas =/dvipas = ${DVIPA}/; s/# endpoints =/endpoints = ${ENDPOINT}/`,
      PLUGIN_CONF,
    ]);
    await there().must(['systemctl', 'restart', 'strongswan']);
    expect(await there().must(['stat', '-c', '%U:%G:%a', '/run/charon.vici', '/run/charon.dvipa'])).to.equal(
      'root:dvipa:660\n'.repeat(2),
    );
    await waitFor('charon is connected', isConnected, { timeoutMs: 20_000 });
  });

  it('a killed agent leaves its guard, and systemd starts another one', async () => {
    const before = await property('dvipa-route', 'MainPID');
    await there().sh(`kill -KILL ${before}`);
    expect(await tables()).to.contain('dvipa_route');
    await waitFor(
      'another agent',
      async () =>
        (await property('dvipa-route', 'ActiveState')) === 'active' &&
        (await property('dvipa-route', 'MainPID')) !== before,
      { timeoutMs: 30_000 },
    );
    await waitFor('charon is connected', isConnected, { timeoutMs: 20_000 });
  });

  it('reload is what `dvipa reload` does', async function () {
    const commands = await there().must(['dvipa', '--help']);
    if (!/^ +reload /m.test(commands)) skipBecause(this, 'there is no `dvipa reload` yet');
    await there().must(['systemctl', 'reload', 'dvipa-route']);
    expect(await property('dvipa-route', 'ActiveState')).to.equal('active');
  });

  it('a stopped routing agent takes its guard and its sockets along', async () => {
    await there().must(['systemctl', 'disable', '--now', 'dvipa-route']);
    expect(await property('dvipa-route', 'Result')).to.equal('success');
    expect(await tables()).to.not.contain('dvipa');
    expect((await there().exec(['test', '-e', '/run/dvipa'])).status).to.equal(1);
  });

  it('target agent has its device, addresses and sysctls without being root, and takes them back', async () => {
    const values =
      'cat /proc/sys/net/ipv4/conf/outside0/arp_ignore /proc/sys/net/ipv4/conf/outside0/arp_announce';
    const before = await there().sh(values);
    await configure('target');
    await there().must(['systemctl', 'start', 'dvipa-target']);
    await expectConfined('dvipa-target.service');
    expect(await there().must(['ip', 'address', 'show', 'dev', 'dvipa0'])).to.contain(`inet ${DVIPA}/32`);
    expect(await there().sh(values))
      .to.equal('1\n2\n')
      .and.not.equal(before);
    expect(await tables()).to.contain('dvipa_guard');
    await there().must(['systemctl', 'stop', 'dvipa-target']);
    expect(await property('dvipa-target', 'Result')).to.equal('success');
    expect((await there().exec(['ip', 'link', 'show', 'dev', 'dvipa0'])).status).to.not.equal(0);
    expect(await there().sh(values)).to.equal(before);
    expect(await tables()).to.not.contain('dvipa');
  });

  it('journal has what the agents say, with priorities, and no line of a key', async () => {
    const journal = await there().must([
      'journalctl',
      '-b',
      '--no-pager',
      '-o',
      'cat',
      '-u',
      'dvipa-route',
      '-u',
      'dvipa-target',
    ]);
    const warnings = await there().must([
      'journalctl',
      '-b',
      '--no-pager',
      '-o',
      'cat',
      '-p',
      'warning',
      '-u',
      'dvipa-route',
    ]);
    expect(journal).to.contain('stopped');
    expect(warnings).to.contain('the plugin kernel-dvipa is not there').and.not.contain('stopped');
    const keys = await there().sh("grep -hv '^-' /etc/dvipa/pki/router1.key /etc/dvipa/pki/target1.key");
    for (const line of keys.trim().split('\n')) {
      expect(line).to.have.length.above(20);
      expect(journal.includes(line)).to.equal(false);
    }
  });
});
