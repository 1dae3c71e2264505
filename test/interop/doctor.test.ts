import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { CheckId } from '../../src/doctor/checks.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { dvipaCommand, PROJECT_ROOT } from '../../src/lab/program.ts';
import { run } from '../../src/lab/run.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import { dvipa } from '../cli/run-cli.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { NetHost } from './support/net-host.ts';

interface Examination {
  readonly status: number | null;
  readonly findings: readonly Finding[];
}

/** What is not in order: `CHECK STATUS` each, sorted. */
function faultsOf({ findings }: Examination): string[] {
  const bad = findings.filter(({ status }) => status === 'warn' || status === 'fail');
  return [...new Set(bad.map(({ id, status }) => `${id} ${status}`))].toSorted();
}

function wordsOf({ findings }: Examination, id: CheckId, about = ''): string {
  const bad = findings.filter(({ status }) => status === 'warn' || status === 'fail');
  const found = bad.filter((each) => each.id === id && (each.about ?? '').includes(about));
  return found.map((each) => `${each.found} -> ${each.remedy}`).join('\n');
}

/** Hosts on which nothing runs: what can be said before the first start. */
describe('dvipa doctor before the first start', function () {
  this.timeout(60_000);
  let router: NetHost;
  let target: NetHost;
  let folder = '';
  const children: ChildProcess[] = [];

  before(async () => {
    router = new NetHost('doc-router');
    target = new NetHost('doc-target');
    NetHost.wire(router, 'outside0', target, 'outside0');
    NetHost.wire(router, 'cluster0', target, 'cluster0');
    router.ip('address add 192.0.2.10/24 dev outside0');
    router.ip('address add 198.51.100.1/24 dev cluster0');
    target.ip('address add 192.0.2.21/24 dev outside0');
    target.ip('address add 198.51.100.11/24 dev cluster0');
    folder = mkdtempSync(join(tmpdir(), 'dvipa-doctor-'));
    await dvipa('pki', 'init', '--dir', folder);
    await dvipa('pki', 'issue', '--role', 'route', '--dir', folder, 'router1');
    await dvipa('pki', 'issue', '--role', 'target', '--dir', folder, 'target1');
    writeFileSync(
      join(folder, 'route.yaml'),
      `host: router1
role: route
dvipas:
  - { address: 203.0.113.10, endpoint: 192.0.2.10, inbound_filter: filter, targets: [target1] }
  - { address: '2001:db8::10', endpoint: 192.0.2.10, inbound_filter: filter, targets: [target1] }
outside: { interface: outside0 }
cluster: { interface: cluster0, address: 198.51.100.1 }
targets: [{ host: target1, address: 198.51.100.11 }]
coupling: { ca: ca.pem, certificate: router1.pem, key: router1.key }
charon: { vici: ${folder}/none.vici, plugin: ${folder}/none.dvipa }
admin: { socket: ${folder}/route.sock }
`,
    );
    writeFileSync(
      join(folder, 'target.yaml'),
      `host: target1
role: target
dvipas: [203.0.113.10]
router: { host: router1, address: 198.51.100.1 }
cluster: { interface: cluster0, address: 198.51.100.11 }
outside: { interface: outside0 }
coupling: { ca: ca.pem, certificate: target1.pem, key: target1.key }
admin: { socket: ${folder}/target.sock }
`,
    );
  });

  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await router?.close();
    await target?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function examine(host: NetHost, role: 'route' | 'target'): Promise<Examination> {
    const command = dvipaCommand('doctor', '--json', '-c', join(folder, `${role}.yaml`));
    const { status, stdout } = await run(['ip', 'netns', 'exec', host.name, ...command]);
    return { status, findings: JSON.parse(stdout) as Finding[] };
  }

  it('finds on a target nothing but what the agent itself will do, and that the other host does not run', async () => {
    const seen = await examine(target, 'target');
    expect(faultsOf(seen)).to.deep.equal(['agent warn', 'arp warn', 'coupling fail', 'guard warn']);
    expect(wordsOf(seen, 'coupling')).to.contain('ECONNREFUSED').and.contain('tcp 198.51.100.1:4754');
    expect(seen.status).to.equal(1);
  });

  it('finds on a routing host that charon is down, and changes nothing', async () => {
    const state = () => [router.run('nft list ruleset'), router.ip('rule'), router.ip('address')].join();
    const before = state();
    expect(faultsOf(await examine(router, 'route'))).to.deep.equal([
      'agent warn',
      'charon fail',
      'guard warn',
    ]);
    expect(state()).to.equal(before);
  });

  it('hears another host that has a DVIPA or an endpoint, of either family, and whose port is taken', async () => {
    target.ip('address add 203.0.113.10/32 dev outside0');
    target.ip('address add 192.0.2.10/32 dev outside0');
    target.ip('-6 address add 2001:db8::10/64 dev outside0 nodad');
    const held = `const s = require('dgram').createSocket('udp4'); s.bind(4754, '198.51.100.1', () => console.log('held'))`;
    const holder = spawn('ip', ['netns', 'exec', router.name, process.execPath, '-e', held]);
    children.push(holder);
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    const seen = await examine(router, 'route');
    const owner = target.linkAddress('outside0');
    for (const address of ['203.0.113.10', '192.0.2.10', '2001:db8::10'])
      expect(wordsOf(seen, 'duplicate-address', address), address).to.contain(`${owner} answers`);
    expect(wordsOf(seen, 'port-link')).to.match(/^taken by .*\(pid \d+\)/);
    expect(faultsOf(seen)).to.include.members(['duplicate-address fail', 'port-link fail']);

    expect(wordsOf(await examine(target, 'target'), 'dvipa-elsewhere')).to.contain('on outside0');
    target.ip('address delete 203.0.113.10/32 dev outside0');
    target.ip('address delete 192.0.2.10/32 dev outside0');
  });

  it('finds certificates that are expired, of another host, of another key or CA, and keys that others may read', async () => {
    const was = (name: string) => join(folder, `${name}.was`);
    for (const name of ['target1.pem', 'target1.key']) copyFileSync(join(folder, name), was(name));
    const issue = (...args: string[]) =>
      execFileSync(
        'pki',
        ['--issue', '--cacert', 'ca.pem', '--cakey', 'ca.key', '--outform', 'pem', ...args],
        {
          cwd: folder,
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      );
    const identity = ['--dn', 'CN=target2', '--san', 'target2.target.dvipa.invalid'];
    const dates = ['--dateform', '%Y-%m-%d', '--not-before', '2020-01-01', '--not-after', '2021-01-01'];
    writeFileSync(
      join(folder, 'target1.pem'),
      issue('--in', 'router1.key', '--type', 'priv', ...identity, ...dates),
    );
    // `check-config` refuses such a key; here it is one finding of many.
    chmodSync(join(folder, 'target1.key'), 0o644);
    const seen = await examine(target, 'target');
    expect(wordsOf(seen, 'certificate-dates')).to.contain('expired on 2021-01-01');
    expect(wordsOf(seen, 'certificate-name')).to.contain('it is of target2 in role target');
    expect(wordsOf(seen, 'certificate-key')).to.contain('another key');
    expect(wordsOf(seen, 'key-mode')).to.contain('everybody may read it -> chmod o=');
    expect(wordsOf(seen, 'certificate-chain')).to.equal('');
    for (const name of ['target1.pem', 'target1.key']) copyFileSync(was(name), join(folder, name));
    chmodSync(join(folder, 'target1.key'), 0o600);
  });

  it('names the place of a fault in the configuration, and looks no further', async () => {
    writeFileSync(join(folder, 'target.yaml'), 'role: target\nhost: Target 1\n');
    const { status, findings } = await examine(target, 'target');
    expect(status).to.equal(1);
    expect(new Set(findings.map(({ id }) => id))).to.deep.equal(new Set(['configuration']));
    expect(findings.map(({ about }) => about)).to.include(`${join(folder, 'target.yaml')}:2:7`);
  });
});

/** A cluster that works, and then does not. */
describe('dvipa doctor in a cluster at work', function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up('doc', { clients: 1, targets: 1, tunnels: false });
  });
  after(() => cluster?.down());

  async function examine(name: 'router1' | 'target1'): Promise<Examination> {
    const command = dvipaCommand('doctor', '--json', '-c', cluster.configFile(name));
    const { status, stdout } = await cluster.lab.host(name).exec(command);
    return { status, findings: JSON.parse(stdout) as Finding[] };
  }
  const on = (name: string, command: string) => cluster.lab.host(name).must(['sh', '-c', command]);
  /** The certificates of the lab live for 30 days. */
  const IN_ORDER = ['certificate-dates warn'];

  it('finds nothing wrong on either host', async () => {
    const [router, target] = [await examine('router1'), await examine('target1')];
    expect(faultsOf(router)).to.deep.equal(IN_ORDER);
    expect(faultsOf(target)).to.deep.equal(IN_ORDER);
    expect([router.status, target.status]).to.deep.equal([0, 0]);
  });

  it('finds on a routing host a strict rp_filter, joining offloads, a narrow link, a changed guard and plugin', async () => {
    const conf = cluster.file('hosts/router1/strongswan.conf');
    const text = readFileSync(conf, 'utf8');
    const agentConf = cluster.file('hosts/router1/dvipa/dvipa.yaml');
    const agentText = readFileSync(agentConf, 'utf8');
    writeFileSync(agentConf, `${agentText}\noffloads: { gro: false }\n`);
    writeFileSync(conf, text.replace(/dvipas = .*/, 'dvipas = 203.0.113.99'));
    await on('router1', 'swanctl --reload-settings');
    await on('router1', 'sysctl -qw net.ipv4.conf.outside0.rp_filter=1; ip link set cluster0 mtu 1400');
    await on(
      'router1',
      'ethtool -K outside0 rx-udp-gro-forwarding on; nft flush chain inet dvipa_route forward',
    );
    const seen = await examine('router1');
    expect(seen.status).to.equal(1);
    expect(faultsOf(seen)).to.deep.equal(
      [
        ...IN_ORDER,
        'guard fail',
        'mtu-cluster fail',
        'offloads fail',
        'plugin-addresses fail',
        'rp-filter warn',
      ].toSorted(),
    );
    expect(wordsOf(seen, 'guard')).to.contain('chain forward has 0 rules, not 4');
    expect(wordsOf(seen, 'plugin-addresses', cluster.dvipa)).to.contain('does not know it');
    // The remedies are typed as they are given, where they are commands.
    writeFileSync(agentConf, agentText);
    writeFileSync(conf, text);
    await on('router1', 'swanctl --reload-settings');
    for (const { remedy = '' } of seen.findings.filter(({ id }) => id === 'offloads' || id === 'rp-filter'))
      if (remedy !== '') await on('router1', remedy);
    await on('router1', 'ip link set cluster0 mtu 1500');
    const after = await examine('router1');
    expect(faultsOf(after)).to.deep.equal([...IN_ORDER, 'guard fail']);
  });

  it('finds on a target that ARP answers, that the TUN filters sources, and a firewall that drops the link', async () => {
    await on('target1', 'sysctl -qw net.ipv4.conf.outside0.arp_ignore=0 net.ipv4.conf.dvipa0.rp_filter=1');
    await on('target1', 'ip link set dvipa0 mtu 1300');
    await on(
      'target1',
      `nft 'add table inet fw; add chain inet fw in { type filter hook input priority 0; policy accept; }; add rule inet fw in udp dport { 4754, 9 } drop'`,
    );
    const seen = await examine('target1');
    expect(faultsOf(seen)).to.deep.equal(
      [...IN_ORDER, 'arp fail', 'firewall fail', 'mtu-tun fail', 'rp-filter fail'].toSorted(),
    );
    expect(wordsOf(seen, 'firewall', 'link in')).to.contain('dropped by rule 1 of chain in of table inet fw');
    for (const id of ['arp', 'rp-filter', 'mtu-tun'] as const)
      for (const { remedy = '' } of seen.findings.filter((each) => each.id === id))
        if (remedy !== '') await on('target1', remedy);
    await on('target1', 'nft delete table inet fw');
    expect(faultsOf(await examine('target1'))).to.deep.equal(IN_ORDER);
  });

  it('finds a killed agent whose guard and policy rules somebody took away, and a CA that the other side does not know', async () => {
    await cluster.lab.process('target1', 'agent').kill('SIGKILL');
    await on('target1', 'nft delete table inet dvipa_guard; ip rule del pref 152');
    const pki = cluster.file('other-pki');
    await dvipa('pki', 'init', '--dir', pki);
    await dvipa('pki', 'issue', '--role', 'target', '--dir', pki, 'target1');
    const place = (name: string) => cluster.file(`hosts/target1/dvipa/${name}`);
    for (const name of ['target1.pem', 'target1.key']) copyFileSync(join(pki, name), place(name));
    const seen = await examine('target1');
    expect(wordsOf(seen, 'guard')).to.contain('packets pass in clear');
    expect(faultsOf(seen)).to.include.members([
      'agent warn',
      'certificate-chain fail',
      'coupling fail',
      'guard fail',
      'guard-routing fail',
    ]);
    expect(wordsOf(seen, 'coupling')).to.contain('the other side refused ours');
    copyFileSync(join(pki, 'ca.pem'), place('ca.pem'));
    const own = await examine('target1');
    expect(wordsOf(own, 'coupling')).to.contain('no TLS session').and.contain('SELF_SIGNED');
    expect(wordsOf(own, 'certificate-chain')).to.equal('');
  });

  it('finds on the routing host that a target is gone, and that charon is', async () => {
    await waitFor(
      'the session has ended',
      async () => (await cluster.ask('router1', 'targets'))[0]?.state === 'down',
    );
    await cluster.lab.process('router1', 'charon').kill('SIGKILL');
    const seen = await examine('router1');
    expect(wordsOf(seen, 'coupling', 'target1')).to.contain('not connected; last heard');
    expect(wordsOf(seen, 'charon')).to.contain('journalctl -u strongswan');
    expect(faultsOf(seen)).to.include.members(['charon fail', 'coupling fail']);
  });
});
