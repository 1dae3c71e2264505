import { expect } from 'chai';
import { parseConfig } from '../../src/config/index.ts';
import { change, problemsOf } from './problems.ts';
import { FAST_PATH, ROUTE_YAML, TARGET_YAML } from './example.ts';

describe('configuration of a routing host', () => {
  it('a routing host configuration is typed, has its defaults, and resolves paths from its folder', () => {
    expect(parseConfig(ROUTE_YAML, '/etc/dvipa/dvipa.yaml')).to.deep.equal({
      role: 'route',
      host: 'router1',
      dvipas: [
        {
          address: '203.0.113.10',
          endpoints: ['192.0.2.10'],
          inboundFilter: 'filter',
          rules: [
            { action: 'permit', protocol: 'tcp', ports: { from: 80, to: 80 } },
            { action: 'deny', protocol: 'any', source: '10.9.0.0/16', ports: { from: 0, to: 65535 } },
          ],
          clearText: 'reject',
          returnVia: 'direct',
          distribution: 'round-robin',
          weights: {},
          affinity: 'none',
          switchBack: true,
          sourcePorts: { from: 32_768, to: 60_999, block: 14_116 },
          services: [],
          targets: ['target1', 'target2'],
        },
      ],
      outside: { interface: 'outside0' },
      cluster: {
        interface: 'cluster0',
        address: '198.51.100.1',
        mtu: 1500,
        couplingPort: 4754,
        linkPort: 4754,
      },
      targets: [
        { host: 'target1', address: '198.51.100.11' },
        { host: 'target2', address: '198.51.100.12' },
      ],
      coupling: {
        ca: '/etc/dvipa/pki/ca.pem',
        certificate: '/etc/dvipa/router1.pem',
        key: '/etc/dvipa/pki/router1.key',
        heartbeatMs: 500,
        deadAfterMs: 1500,
      },
      charon: { vici: '/run/charon.vici', plugin: '/run/charon.dvipa' },
      connectionTable: { entries: 65_536 },
      lifesize: { percentage: 10 },
      verification: { perSecond: 10_000 },
      stamping: 'on',
      trustedLink: 'sealed',
      ...FAST_PATH,
      admin: { socket: '/run/dvipa/route.sock' },
      log: { level: 'info', format: 'text' },
    });
  });

  it('a DVIPA without an endpoint is its own endpoint', () => {
    const config = parseConfig(change(ROUTE_YAML, '    endpoint: 192.0.2.10\n', ''), 'dvipa.yaml');
    expect(config.dvipas[0]).to.have.deep.property('endpoints', ['203.0.113.10']);
  });

  it('a configuration is frozen in every part', () => {
    const config = parseConfig(ROUTE_YAML, 'dvipa.yaml');
    const isFrozen = (value: unknown): boolean =>
      value === null ||
      typeof value !== 'object' ||
      (Object.isFrozen(value) && Object.values(value).every(isFrozen));
    expect(isFrozen(config)).to.equal(true);
  });

  const HOST = 'expected a host name (letters a-z, digits, hyphens)';
  const ADDRESS = 'expected the address of one host, IPv4 or IPv6';
  const RANGE = 'expected a port or a range such as 1024-65535';
  const cases: [what: string, from: string, to: string, ...want: string[]][] = [
    ['an unknown role', 'role: route', 'role: router', '2:7: role: "router", expected one of route, target'],
    ['no role', 'role: route\n', '', '1:1: role: missing, expected one of route, target'],
    ['no host', 'host: router1\n', '', `1:1: host: missing, ${HOST}`],
    ['a host with an underscore', 'router1\n', 'router_1\n', `1:7: host: "router_1", ${HOST}`],
    ['a host that is a number', 'router1\n', '17\n', `1:7: host: 17, ${HOST}`],
    [
      'an octal-looking address',
      '203.0.113.10',
      '203.0.113.010',
      `4:14: dvipas.0.address: "203.0.113.010", ${ADDRESS}`,
    ],
    ['a multicast address', '203.0.113.10', '224.0.0.5', `4:14: dvipas.0.address: "224.0.0.5", ${ADDRESS}`],
    ['a loopback endpoint', '192.0.2.10', '127.0.0.1', `5:15: dvipas.0.endpoint: "127.0.0.1", ${ADDRESS}`],
    [
      'an address that YAML reads as a number',
      '203.0.113.10',
      '203.0',
      `4:14: dvipas.0.address: 203, ${ADDRESS}`,
    ],
    [
      'an unknown filter mode',
      'inbound_filter: filter',
      'inbound_filter: on',
      '6:21: dvipas.0.inbound_filter: "on", expected one of bypass, filter',
    ],
    [
      'an unknown way of answers',
      'inbound_filter: filter',
      'return: targets\n    inbound_filter: filter',
      '6:13: dvipas.0.return: "targets", expected one of direct, router',
    ],
    [
      'an unknown distribution',
      'round-robin',
      'random',
      '10:19: dvipas.0.distribution: "random", expected one of round-robin, weighted-active, server-load, hot-standby, maglev',
    ],
    [
      'an unknown key',
      'endpoint:',
      'endpont:',
      '5:5: dvipas.0.endpont: unknown key (did you mean endpoint?), expected one of address, endpoint, inbound_filter, rules, clear_text, return, distribution, weights, affinity, switch_back, services, source_ports, targets',
    ],
    [
      'an unknown key in braces',
      'interface: outside0',
      'interface: outside0, mtu: 9000',
      '12:33: outside.mtu: unknown key, expected one of interface',
    ],
    ['a port range backwards', '"80"', '90-80', `8:49: dvipas.0.rules.0.ports: "90-80", ${RANGE}`],
    ['a port above 65535', '"80"', '65536', `8:49: dvipas.0.rules.0.ports: 65536, ${RANGE}`],
    ['a list of ports', '"80"', '[80]', `8:49: dvipas.0.rules.0.ports: a list of 1, ${RANGE}`],
    [
      'ports for any protocol',
      'protocol: tcp',
      'protocol: any',
      '8:49: dvipas.0.rules.0.ports: "80" ports do not go with protocol any, expected tcp or udp',
    ],
    [
      'a network with host bits',
      '10.9.0.0/16',
      '10.9.1.0/16',
      '9:48: dvipas.0.rules.1.source: "10.9.1.0/16", expected a network without host bits: 10.9.0.0/16',
    ],
    [
      'a prefix longer than 32',
      '10.9.0.0/16',
      '10.9.0.0/33',
      '9:48: dvipas.0.rules.1.source: "10.9.0.0/33", expected a network such as 10.1.0.0/16 or 2001:db8::/32',
    ],
    [
      'an empty section',
      '{ interface: outside0 }',
      '',
      '12:10: outside: empty, expected a mapping with interface',
    ],
    [
      'an interface name of 16',
      'outside0',
      'outside0outside0',
      '12:23: outside.interface: "outside0outside0", expected the name of a network interface (at most 15 characters)',
    ],
    [
      'a port as text',
      'address: 198.51.100.1 }',
      'address: 198.51.100.1, link_port: "4754" }',
      '13:67: cluster.link_port: "4754", expected a port from 1 to 65535',
    ],
    [
      'port 0',
      'address: 198.51.100.1 }',
      'address: 198.51.100.1, coupling_port: 0 }',
      '13:71: cluster.coupling_port: 0, expected a port from 1 to 65535',
    ],
    [
      'no targets at all',
      '[target1, target2]',
      '[]',
      '11:14: dvipas.0.targets: a list of 0, expected a list of 1 to 32 target hosts',
    ],
    [
      'an undeclared target',
      '[target1, target2]',
      '[target1, target3]',
      '11:24: dvipas.0.targets.1: "target3" is not declared, expected one of target1, target2',
    ],
    [
      'a target twice',
      '[target1, target2]',
      '[target1, target1]',
      '11:24: dvipas.0.targets.1: "target1" is there already as number 0, expected each once',
    ],
    [
      'two targets at one address',
      '198.51.100.12',
      '198.51.100.11',
      '16:31: targets.1.address: "198.51.100.11" is there already as number 0, expected each once',
    ],
    [
      'a target declared twice',
      'host: target2',
      'host: target1',
      '11:24: dvipas.0.targets.1: "target2" is not declared, expected one of target1, target1',
      '16:13: targets.1.host: "target1" is there already as number 0, expected each once',
    ],
    [
      "a target at the router's address",
      '198.51.100.12',
      '198.51.100.1',
      '16:31: targets.1.address: "198.51.100.1" is this host\'s own, expected the target\'s',
    ],
    [
      'a target at the DVIPA',
      '198.51.100.12',
      '203.0.113.10',
      '16:31: targets.1.address: "203.0.113.10" is a DVIPA or an endpoint, expected a cluster address',
    ],
    [
      'a cluster address that is the endpoint',
      '198.51.100.1 }',
      '192.0.2.10 }',
      '13:42: cluster.address: "192.0.2.10" is a DVIPA or an endpoint, expected an address of the cluster network',
    ],
    [
      "the router's name as a target",
      'host: router1',
      'host: target1',
      '15:13: targets.0.host: "target1" is this host\'s name, expected a target\'s',
    ],
    [
      'a dead time under two heartbeats',
      'router1.key',
      'router1.key\n  heartbeat_ms: 600\n  dead_after_ms: 1100',
      '22:18: coupling.dead_after_ms: 1100, expected at least twice heartbeat_ms, 1200',
    ],
    [
      'a heartbeat with a fraction',
      'router1.key',
      'router1.key\n  heartbeat_ms: 1.5',
      '21:17: coupling.heartbeat_ms: 1.5, expected milliseconds from 50 to 60000',
    ],
    [
      'a relative socket',
      'role: route',
      'role: route\nadmin: { socket: route.sock }',
      '3:18: admin.socket: "route.sock", expected the absolute path of a socket (at most 107 bytes)',
    ],
    [
      'a percentage of 0',
      'role: route',
      'role: route\nlifesize: { percentage: 0 }',
      '3:25: lifesize.percentage: 0, expected percent from 1 to 50',
    ],
    [
      'a link in clear',
      'role: route',
      'role: route\ntrusted_link: clear',
      '3:15: trusted_link: "clear", expected sealed',
    ],
    [
      'a log level of another program',
      'role: route',
      'role: route\nlog: { level: trace }',
      '3:15: log.level: "trace", expected one of error, warn, info, debug',
    ],
    [
      'a key of the other role',
      'role: route',
      'role: route\ntun: {}',
      '3:1: tun: unknown key (of role target only), expected one of role, host, dvipas, outside, cluster, targets, coupling, charon, connection_table, lifesize, verification, stamping, trusted_link, link, offloads, polling, crypto, workers, keys_export, admin, log',
    ],
    [
      'a __proto__ key',
      'role: route',
      'role: route\n__proto__: { role: target }',
      '3:1: unknown key __proto__, expected the name of an option or of a target',
    ],
    [
      'an unsafe path',
      'pki/ca.pem',
      '"ca\\0.pem"',
      '18:7: coupling.ca: "ca\\u0000.pem", expected the path of a file',
    ],
  ];
  for (const [what, from, to, ...want] of cases) {
    it(`the configuration refuses ${what}`, () => {
      expect(problemsOf(change(ROUTE_YAML, from, to))).to.deep.equal(
        want.map((line) => `dvipa.yaml:${line}`),
      );
    });
  }

  it('the configuration refuses an endpoint that is another DVIPA, and a DVIPA that is there twice', () => {
    const two = (address: string, endpoint: string) =>
      change(
        ROUTE_YAML,
        'outside:',
        `  - address: ${address}\n    endpoint: ${endpoint}\n    inbound_filter: bypass\n    targets: [target1]\noutside:`,
      );
    expect(problemsOf(two('203.0.113.11', '192.0.2.10'))).to.deep.equal([]);
    expect(problemsOf(two('203.0.113.11', '203.0.113.10'))).to.deep.equal([
      'dvipa.yaml:13:15: dvipas.1.endpoint: "203.0.113.10" is DVIPA number 0, expected an address of its own',
    ]);
    expect(problemsOf(two('203.0.113.11', '[192.0.2.10, 203.0.113.11, 203.0.113.10]'))).to.deep.equal([
      'dvipa.yaml:13:42: dvipas.1.endpoint.2: "203.0.113.10" is DVIPA number 0, expected an address of its own',
    ]);
    expect(problemsOf(two('203.0.113.10', '192.0.2.10'))).to.deep.equal([
      'dvipa.yaml:12:14: dvipas.1.address: "203.0.113.10" is there already as number 0, expected each once',
    ]);
  });

  it('the configuration tells every problem at once, in the order of the file', () => {
    const text = change(change(ROUTE_YAML, 'router1\n', 'Router\n'), 'round-robin', 'random');
    expect(problemsOf(text).map((line) => line.split(' ')[1])).to.deep.equal([
      'host:',
      'dvipas.0.distribution:',
    ]);
  });
});

describe('configuration of a target', () => {
  it('a target configuration is typed and has its defaults', () => {
    expect(parseConfig(TARGET_YAML, '/etc/dvipa/target.yaml')).to.deep.equal({
      role: 'target',
      host: 'target1',
      dvipas: ['203.0.113.10'],
      router: { host: 'router1', address: '198.51.100.1', couplingPort: 4754, linkPort: 4754 },
      cluster: { interface: 'cluster0', address: '198.51.100.11', mtu: 1500 },
      outside: { interface: 'outside0' },
      tun: { name: 'dvipa0', mtu: 1360 },
      sourcePorts: { manage: false },
      ...FAST_PATH,
      coupling: {
        ca: '/etc/dvipa/pki/ca.pem',
        certificate: '/etc/dvipa/pki/target1.pem',
        key: '/etc/dvipa/pki/target1.key',
        heartbeatMs: 500,
        deadAfterMs: 1500,
      },
      admin: { socket: '/run/dvipa/target.sock' },
      log: { level: 'info', format: 'text' },
    });
  });

  const cases: [what: string, from: string, to: string, want: string][] = [
    [
      'a DVIPA twice',
      '[203.0.113.10]',
      '[203.0.113.10, 203.0.113.10]',
      '3:24: dvipas.1: "203.0.113.10" is there already as number 0, expected each once',
    ],
    [
      'itself as its router',
      'address: 198.51.100.1 }',
      'address: 198.51.100.11 }',
      '4:35: router.address: "198.51.100.11" is this host\'s own, expected the routing host\'s',
    ],
    [
      'its own name as the router',
      'host: router1',
      'host: target1',
      '4:17: router.host: "target1" is this host\'s name, expected the routing host\'s',
    ],
    [
      'a DVIPA as cluster address',
      'address: 198.51.100.11',
      'address: 203.0.113.10',
      '5:42: cluster.address: "203.0.113.10" is a DVIPA, expected an address of the cluster network',
    ],
    [
      'a TUN named like an interface',
      'host: target1',
      'host: target1\ntun: { name: outside0 }',
      '2:14: tun.name: "outside0" is the outside interface, expected a name of its own',
    ],
    [
      'an MTU under 576',
      'host: target1',
      'host: target1\ntun: { mtu: 500 }',
      '2:13: tun.mtu: 500, expected bytes from 576 to 65535',
    ],
    [
      'a text where a section belongs',
      'router: { host: router1, address: 198.51.100.1 }',
      'router: router1',
      '4:9: router: "router1", expected a mapping with host, address, coupling_port, link_port',
    ],
  ];
  for (const [what, from, to, want] of cases) {
    it(`the configuration of a target refuses ${what}`, () => {
      expect(problemsOf(change(TARGET_YAML, from, to))).to.deep.equal([`dvipa.yaml:${want}`]);
    });
  }
});
