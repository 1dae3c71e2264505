import { expect } from 'chai';
import { type AddressFacts, judgeAddresses } from '../../src/doctor/judge/addresses.ts';
import { type AgentFacts, judgeAgent } from '../../src/doctor/judge/agent.ts';
import { type HostInterfaces, judgeInterfaces } from '../../src/doctor/judge/interfaces.ts';
import { judgeKernel, type KernelFacts } from '../../src/doctor/judge/kernel.ts';
import { judgeMtu, type MtuFacts } from '../../src/doctor/judge/mtu.ts';
import { faults, findingOf } from './findings.ts';

const good = { isOk: true } as const;
const bad = (reason: string) => ({ isOk: false, reason }) as const;

describe('doctor: the kernel', () => {
  const kernel: KernelFacts = {
    missingCapabilities: [],
    addon: good,
    crypto: { name: 'openssl', version: 'OpenSSL 3', because: 'no libIPSec_MB.so.1', wanted: 'auto' },
    tun: good,
    packetSocket: good,
    nftables: good,
    hasIpv6: true,
    ipv6Addresses: ['2001:db8::1'],
  };
  const cases: readonly [string, Partial<KernelFacts>, string][] = [
    ['capabilities', { missingCapabilities: ['CAP_NET_RAW'] }, 'CAP_NET_RAW'],
    ['addon', { addon: bad('wrong ELF class') }, 'wrong ELF class'],
    ['kernel-tun', { tun: bad('ENOENT') }, 'ENOENT'],
    ['kernel-packet-socket', { packetSocket: bad('EAFNOSUPPORT') }, 'EAFNOSUPPORT'],
    ['kernel-nftables', { nftables: bad('nft: not found') }, 'nft: not found'],
    ['kernel-ipv6', { hasIpv6: false }, '2001:db8::1'],
  ];

  it('has nothing to say of a kernel that has everything', () => {
    expect(faults(judgeKernel(kernel))).to.deep.equal([]);
  });

  for (const [id, change, words] of cases) {
    it(`fails ${id} alone, and says why and what to do`, () => {
      const findings = judgeKernel({ ...kernel, ...change });
      expect(faults(findings)).to.deep.equal([`${id} fail`]);
      const { found, remedy } = findingOf(findings, id as 'addon');
      expect(found).to.contain(words);
      expect(remedy).to.be.a('string').and.not.equal('');
    });
  }

  it('warns of cryptography that is slower than what was asked for, and says what is missing', () => {
    for (const [name, wanted, remedy] of [
      ['openssl', 'ipsec-mb', 'libipsec-mb1'],
      ['node', 'auto', 'build-addons'],
      ['node', 'openssl', 'build-addons'],
    ] as const) {
      const crypto = { name, version: '3', because: 'not there', wanted };
      const findings = judgeKernel({ ...kernel, crypto });
      expect(faults(findings)).to.deep.equal(['crypto-library warn']);
      expect(findingOf(findings, 'crypto-library').found).to.contain('not there');
      expect(findingOf(findings, 'crypto-library').remedy).to.contain(remedy);
    }
    const crypto = { name: 'node', version: '3', wanted: 'node' };
    expect(faults(judgeKernel({ ...kernel, crypto }))).to.deep.equal([]);
  });

  it('asks for no IPv6 where no address needs it, and for no TUN on a routing host', () => {
    const findings = judgeKernel({ ...kernel, hasIpv6: false, ipv6Addresses: [], tun: undefined });
    expect(faults(findings)).to.deep.equal([]);
    expect(findings.some(({ id }) => id === 'kernel-tun')).to.equal(false);
  });
});

describe('doctor: the agent', () => {
  const running = { version: '1.2.3', role: 'target', host: 'target1' };
  const agent: AgentFacts = {
    role: 'target',
    socket: '/run/dvipa/target.sock',
    configFile: '/etc/dvipa/dvipa.yaml',
    version: '1.2.3',
    running,
    unit: { name: 'dvipa-target.service', load: 'loaded', active: 'active', result: 'success' },
  };

  it('is in order where it runs in this version, under its unit or without systemd', () => {
    expect(faults(judgeAgent(agent))).to.deep.equal([]);
    expect(faults(judgeAgent({ ...agent, unit: undefined }))).to.deep.equal([]);
  });

  it('that does not run is to heed, with the line that starts it', () => {
    const finding = findingOf(judgeAgent({ ...agent, running: { absent: 'no agent answers' } }), 'agent');
    expect(finding.status).to.equal('warn');
    expect(finding.remedy).to.contain('dvipa target -c /etc/dvipa/dvipa.yaml');
  });

  it('of another version is to heed, of another role fails', () => {
    expect(faults(judgeAgent({ ...agent, version: '1.2.4' }))).to.deep.equal(['agent warn']);
    const other = { ...running, role: 'route' };
    expect(faults(judgeAgent({ ...agent, running: other }))).to.deep.equal(['agent fail']);
  });

  it('whose unit failed is told with the line that shows its log', () => {
    const unit = { name: 'dvipa-target.service', load: 'loaded', active: 'failed', result: 'exit-code' };
    const finding = findingOf(judgeAgent({ ...agent, unit }), 'unit');
    expect(finding).to.include({ status: 'fail', found: 'failed: exit-code' });
    expect(finding.remedy).to.contain('journalctl -u dvipa-target.service');
    expect(findingOf(judgeAgent({ ...agent, unit: { ...unit, load: 'not-found' } }), 'unit').status).to.equal(
      'skipped',
    );
    expect(
      findingOf(judgeAgent({ ...agent, unit: { ...unit, active: 'inactive' } }), 'unit').status,
    ).to.equal('warn');
  });
});

describe('doctor: the interfaces', () => {
  const link = (name: string, use: 'outside' | 'cluster') =>
    ({ name, use, isUp: true, reversePath: 0, features: new Set(['tx-checksumming']) }) as const;
  const host = (role: 'route' | 'target', change: object = {}, reversePath = 2): HostInterfaces => ({
    role,
    interfaces: [{ ...link('eth0', 'outside'), ...change }, link('eth1', 'cluster')],
    tun: role === 'target' ? { name: 'dvipa0', reversePath } : undefined,
  });

  it('are in order where they are up, loose, and join nothing', () => {
    expect(faults(judgeInterfaces(host('route')))).to.deep.equal([]);
    expect(faults(judgeInterfaces(host('target')))).to.deep.equal([]);
  });

  it('that are missing or down fail, and nothing more is said of a missing one', () => {
    expect(faults(judgeInterfaces(host('route', { isUp: false })))).to.deep.equal(['interface fail']);
    const missing = judgeInterfaces(host('route', { isUp: undefined, features: undefined }));
    expect(faults(missing)).to.deep.equal(['interface fail']);
    expect(missing.filter(({ about }) => about === 'eth0').length).to.equal(1);
  });

  for (const feature of ['rx-gro-list', 'rx-udp-gro-forwarding']) {
    it(`fail with ${feature} outside on a routing host only, where ESP comes in`, () => {
      const change = { features: new Set([feature]) };
      const finding = findingOf(judgeInterfaces(host('route', change)), 'offloads');
      expect(finding.status).to.equal('fail');
      expect(finding.remedy).to.equal(`ethtool -K eth0 ${feature} off`);
      expect(faults(judgeInterfaces(host('target', change)))).to.deep.equal([]);
    });
  }

  it('are to heed with LRO, and not looked at without ethtool', () => {
    const lro = { features: new Set(['large-receive-offload']) };
    expect(faults(judgeInterfaces(host('route', lro)))).to.deep.equal(['offloads warn']);
    const unknown = judgeInterfaces(host('route', { features: undefined }));
    expect(findingOf(unknown, 'offloads', 'eth0')).to.include({ status: 'skipped' });
  });

  it('are to heed where the reverse path filter is strict; on the TUN that fails', () => {
    expect(faults(judgeInterfaces(host('route', { reversePath: 1 })))).to.deep.equal(['rp-filter warn']);
    expect(faults(judgeInterfaces(host('route', { reversePath: 2 })))).to.deep.equal([]);
    const strict = judgeInterfaces(host('target', {}, 1));
    expect(faults(strict)).to.deep.equal(['rp-filter fail']);
    expect(findingOf(strict, 'rp-filter').remedy).to.equal('sysctl -w net/ipv4/conf/dvipa0/rp_filter=2');
  });
});

describe('doctor: the addresses', () => {
  const dvipa = '203.0.113.10';
  const endpoint = '192.0.2.10';
  const route: AddressFacts = {
    role: 'route',
    cluster: { address: '198.51.100.1', interface: 'eth1' },
    present: [
      { interface: 'eth0', addresses: [endpoint] },
      { interface: 'eth1', addresses: ['198.51.100.1'] },
    ],
    endpoints: [endpoint],
    dvipas: [dvipa],
    tun: undefined,
    answers: [{ address: dvipa, interface: 'eth0', owners: [] }],
    arp: [],
    isAgentRunning: true,
  };
  const target: AddressFacts = {
    ...route,
    role: 'target',
    endpoints: [],
    tun: 'dvipa0',
    present: [...route.present, { interface: 'dvipa0', addresses: [dvipa] }],
    arp: [{ interface: 'eth0', ignore: 1, announce: 2 }],
  };
  const answered = (facts: AddressFacts, ...owners: string[]) =>
    judgeAddresses({ ...facts, answers: [{ address: dvipa, interface: 'eth0', owners }] });

  it('are in order where each is at its place and nobody else answers', () => {
    expect(faults(judgeAddresses(route))).to.deep.equal([]);
    expect(faults(judgeAddresses(target))).to.deep.equal([]);
  });

  it('of the cluster network must be on its interface', () => {
    const cluster = { address: endpoint, interface: 'eth1' };
    expect(findingOf(judgeAddresses({ ...route, cluster }), 'cluster-address')).to.include({
      status: 'fail',
      found: 'on eth0, not on eth1',
    });
  });

  it('that are endpoints must be on the routing host', () => {
    const findings = judgeAddresses({ ...route, endpoints: [endpoint, '2001:db8::1'] });
    expect(faults(findings)).to.deep.equal(['endpoint-address fail']);
    expect(findingOf(findings, 'endpoint-address').remedy).to.contain('2001:db8::1/128');
  });

  it('that are DVIPAs must be on no link of a target but its TUN', () => {
    const present = [...target.present, { interface: 'lo', addresses: [dvipa] }];
    const finding = findingOf(judgeAddresses({ ...target, present }), 'dvipa-elsewhere');
    expect(finding).to.include({ status: 'fail', remedy: `ip address delete ${dvipa} dev lo` });
  });

  it('are duplicate if anybody answers a routing host, or two answer a target', () => {
    expect(faults(answered(route, '02:00:00:00:00:01'))).to.deep.equal(['duplicate-address fail']);
    expect(faults(answered(target, '02:00:00:00:00:01'))).to.deep.equal([]);
    const two = answered(target, '02:00:00:00:00:01', '02:00:00:00:00:02');
    expect(faults(two)).to.deep.equal(['duplicate-address fail']);
    expect(findingOf(two, 'duplicate-address').found).to.contain('02:00:00:00:00:02');
  });

  it('of which nobody could be asked are not called unique', () => {
    const answers = [{ address: dvipa, interface: 'eth0', owners: { unknown: 'EPERM' } }];
    expect(findingOf(judgeAddresses({ ...route, answers }), 'duplicate-address').status).to.equal('skipped');
  });

  for (const [ignore, announce, isQuiet] of [
    [0, 2, false],
    [1, 0, false],
    [3, 2, false],
    [2, 2, true],
    [8, 2, true],
  ] as const) {
    it(`with arp_ignore ${ignore} and arp_announce ${announce} are ${isQuiet ? 'kept off' : 'told to'} the wire`, () => {
      const facts = { ...target, arp: [{ interface: 'eth0', ignore, announce }] };
      expect(faults(judgeAddresses(facts))).to.deep.equal(isQuiet ? [] : ['arp fail']);
      const stopped = judgeAddresses({ ...facts, isAgentRunning: false });
      expect(faults(stopped)).to.deep.equal(isQuiet ? [] : ['arp warn']);
    });
  }
});

describe('doctor: the MTUs', () => {
  const mtu: MtuFacts = {
    cluster: { interface: 'eth1', configured: 1500 },
    clusterMtu: 1500,
    outside: { interface: 'eth0', mtu: 1500 },
    paths: [{ host: 'target1', address: '198.51.100.11', fit: 'fits' }],
    tun: { name: 'dvipa0', configured: 1360, present: 1360 },
  };
  const cases: readonly [string, Partial<MtuFacts>, string][] = [
    ['mtu-cluster fail', { clusterMtu: 1400 }, 'the configuration says 1500, the interface 1400'],
    ['mtu-cluster warn', { clusterMtu: 9000 }, 'are cut that need not be'],
    ['mtu-path fail', { paths: [{ host: 'h', address: 'a', fit: 'too-big' }] }, 'a link between is narrower'],
    ['mtu-path warn', { paths: [{ host: 'h', address: 'a', fit: 'no-answer' }] }, 'no answer to ping'],
    ['mtu-tun fail', { tun: { name: 'dvipa0', configured: 1360, present: 1500 } }, 'the device has 1500'],
    ['mtu-tun warn', { tun: { name: 'dvipa0', configured: 1480, present: 1480 } }, 'fits with no algorithm'],
  ];

  it('of the way to others are not measured where the own interface is too narrow already', () => {
    const paths = [{ host: 'h', address: 'a', fit: 'no-answer' }] as const;
    expect(faults(judgeMtu({ ...mtu, clusterMtu: 1400, paths }))).to.deep.equal(['mtu-cluster fail']);
  });

  it('are in order where all agree, and where nothing can be measured', () => {
    expect(faults(judgeMtu(mtu))).to.deep.equal([]);
    const unknown: MtuFacts = {
      ...mtu,
      clusterMtu: undefined,
      outside: { interface: 'eth0', mtu: undefined },
      paths: [{ host: 'h', address: 'a', fit: 'no-ping' }],
    };
    expect(judgeMtu(unknown).map(({ status }) => status)).to.deep.equal(['skipped', 'skipped', 'skipped']);
  });

  for (const [fault, change, words] of cases) {
    it(`give ${fault} alone: ${words}`, () => {
      const findings = judgeMtu({ ...mtu, ...change });
      expect(faults(findings)).to.deep.equal([fault]);
      expect(findingOf(findings, fault.split(' ')[0] as 'mtu-tun').found).to.contain(words);
    });
  }
});
