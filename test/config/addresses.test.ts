import { expect } from 'chai';
import { parseConfig } from '../../src/config/index.ts';
import { change, problemsOf } from './problems.ts';
import { ROUTE_YAML, TARGET_YAML } from './example.ts';

describe('addresses in the configuration of a routing host', () => {
  it('a DVIPA may be IPv6, and have endpoints of both families', () => {
    const text = ROUTE_YAML.replace('203.0.113.10', '2001:db8:d::10')
      .replace('192.0.2.10', '[192.0.2.10, "2001:db8:1::10"]')
      .replace('10.9.0.0/16', '2001:db8:c::/48')
      .replace(
        '{ action: permit, protocol: tcp, ports: "80" }',
        '{ action: permit, protocol: icmpv6, source: "2001:db8::1" }',
      )
      .replace('address: 198.51.100.1 }', 'address: 198.51.100.1, mtu: 9000 }');
    const config = parseConfig(text, 'dvipa.yaml');
    if (config.role !== 'route') throw new Error(config.role);
    expect(config.dvipas[0]).to.deep.include({
      address: '2001:db8:d::10',
      endpoints: ['192.0.2.10', '2001:db8:1::10'],
      rules: [
        { action: 'permit', protocol: 'icmpv6', source: '2001:db8::1/128', ports: { from: 0, to: 65535 } },
        { action: 'deny', protocol: 'any', source: '2001:db8:c::/48', ports: { from: 0, to: 65535 } },
      ],
    });
    expect(config.cluster.mtu).to.equal(9000);
  });

  it('a network may be everything, of either family', () => {
    for (const [dvipa, all] of [
      ['203.0.113.10', '0.0.0.0/0'],
      ['2001:db8:d::10', '::/0'],
    ] as const) {
      const text = ROUTE_YAML.replace('203.0.113.10', dvipa).replace('10.9.0.0/16', `"${all}"`);
      expect(problemsOf(text)).to.deep.equal([]);
    }
  });

  const ADDRESS = 'expected the address of one host, IPv4 or IPv6';
  const CLUSTER = 'expected the IPv4 address of one host (the cluster network is IPv4)';
  const cases: [what: string, from: string, to: string, ...want: string[]][] = [
    [
      'an IPv6 address in another spelling',
      '192.0.2.10',
      '2001:DB8:0::1',
      '5:15: dvipas.0.endpoint: "2001:DB8:0::1", expected its canonical spelling: 2001:db8::1',
    ],
    [
      'an IPv6 address with a zone',
      '203.0.113.10',
      '"2001:db8::1%eth0"',
      `4:14: dvipas.0.address: "2001:db8::1%eth0", ${ADDRESS}`,
    ],
    ['a link-local address', '192.0.2.10', 'fe80::1', `5:15: dvipas.0.endpoint: "fe80::1", ${ADDRESS}`],
    [
      'an IPv4-mapped address',
      '203.0.113.10',
      '::ffff:192.0.2.1',
      `4:14: dvipas.0.address: "::ffff:192.0.2.1", ${ADDRESS}`,
    ],
    ['an IPv6 loopback endpoint', '192.0.2.10', '::1', `5:15: dvipas.0.endpoint: "::1", ${ADDRESS}`],
    ['an IPv6 multicast endpoint', '192.0.2.10', 'ff0e::1', `5:15: dvipas.0.endpoint: "ff0e::1", ${ADDRESS}`],
    [
      'an IPv6 cluster address',
      'address: 198.51.100.1 }',
      'address: "2001:db8::1" }',
      `13:42: cluster.address: "2001:db8::1", ${CLUSTER}`,
    ],
    [
      'an IPv6 link address of a target',
      '198.51.100.12',
      '"2001:db8::c"',
      `16:31: targets.1.address: "2001:db8::c", ${CLUSTER}`,
    ],
    [
      'a wrong address in a list of endpoints',
      '192.0.2.10',
      '[192.0.2.10, 2001:db8::1, "fe80::1"]',
      `5:41: dvipas.0.endpoint.2: "fe80::1", ${ADDRESS}`,
    ],
    [
      'no endpoint in the list',
      '192.0.2.10',
      '[]',
      '5:15: dvipas.0.endpoint: a list of 0, expected a list of 1 to 8 endpoints',
    ],
    [
      'nine endpoints',
      '192.0.2.10',
      `[${Array.from({ length: 9 }, (_, i) => `192.0.2.${10 + i}`).join(', ')}]`,
      '5:15: dvipas.0.endpoint: a list of 9, expected a list of 1 to 8 endpoints',
    ],
    [
      'an endpoint twice',
      '192.0.2.10',
      '[192.0.2.10, 192.0.2.10]',
      '5:28: dvipas.0.endpoint.1: "192.0.2.10" is there already as number 0, expected each once',
    ],
    ['a mapping as endpoint', '192.0.2.10', '{ a: 1 }', `5:15: dvipas.0.endpoint: a mapping, ${ADDRESS}`],
    [
      'a source of the other family',
      '10.9.0.0/16',
      '2001:db8::/32',
      '9:48: dvipas.0.rules.1.source: "2001:db8::/32" is of the other family, expected an IPv4 network, as the DVIPA is IPv4',
    ],
    [
      'an IPv4 source of an IPv6 DVIPA',
      '203.0.113.10',
      '2001:db8::1',
      '9:48: dvipas.0.rules.1.source: "10.9.0.0/16" is of the other family, expected an IPv6 network, as the DVIPA is IPv6',
    ],
    [
      'icmpv6 to an IPv4 DVIPA',
      'protocol: any',
      'protocol: icmpv6',
      '9:35: dvipas.0.rules.1.protocol: "icmpv6" is of the other family, expected icmp, as the DVIPA is IPv4',
    ],
    [
      'an IPv6 network with host bits',
      '10.9.0.0/16',
      '2001:db8:ffff::/33',
      '9:48: dvipas.0.rules.1.source: "2001:db8:ffff::/33", expected a network without host bits: 2001:db8:8000::/33',
    ],
    [
      'an IPv6 network in another spelling',
      '10.9.0.0/16',
      '2001:0db8::/32',
      '9:48: dvipas.0.rules.1.source: "2001:0db8::/32", expected its canonical spelling: 2001:db8::/32',
    ],
    [
      'an IPv6 prefix longer than 128',
      '10.9.0.0/16',
      '2001:db8::/129',
      '9:48: dvipas.0.rules.1.source: "2001:db8::/129", expected a network such as 10.1.0.0/16 or 2001:db8::/32',
    ],
    [
      'a cluster MTU under 1280',
      'address: 198.51.100.1 }',
      'address: 198.51.100.1, mtu: 1279 }',
      '13:61: cluster.mtu: 1279, expected bytes from 1280 to 65535',
    ],
    [
      'ports for icmpv6',
      'protocol: tcp',
      'protocol: icmpv6',
      '8:37: dvipas.0.rules.0.protocol: "icmpv6" is of the other family, expected icmp, as the DVIPA is IPv4',
      '8:52: dvipas.0.rules.0.ports: "80" ports do not go with protocol icmpv6, expected tcp or udp',
    ],
  ];
  for (const [what, from, to, ...want] of cases) {
    it(`the configuration refuses ${what}`, () => {
      expect(problemsOf(change(ROUTE_YAML, from, to))).to.deep.equal(
        want.map((line) => `dvipa.yaml:${line}`),
      );
    });
  }
});

describe('addresses in the configuration of a target', () => {
  it('a target may serve both families, with jumbo packets', () => {
    const text = TARGET_YAML.replace('[203.0.113.10]', '[203.0.113.10, "2001:db8:d::10"]').concat(
      'tun: { mtu: 65535 }\n',
    );
    expect(parseConfig(text, 'dvipa.yaml')).to.deep.include({
      dvipas: ['203.0.113.10', '2001:db8:d::10'],
      tun: { name: 'dvipa0', mtu: 65_535 },
    });
  });

  const cases: [what: string, from: string, to: string, want: string][] = [
    [
      'an MTU under 1280 with an IPv6 DVIPA',
      'dvipas: [203.0.113.10]',
      'dvipas: [203.0.113.10, "2001:db8::1"]\ntun: { mtu: 1279 }',
      '4:13: tun.mtu: 1279 is too small for an IPv6 DVIPA, expected bytes from 1280 to 65535',
    ],
    [
      'an IPv6 address of the routing host',
      'address: 198.51.100.1 }',
      'address: "2001:db8::1" }',
      '4:35: router.address: "2001:db8::1", expected the IPv4 address of one host (the cluster network is IPv4)',
    ],
  ];
  for (const [what, from, to, want] of cases) {
    it(`the configuration of a target refuses ${what}`, () => {
      expect(problemsOf(change(TARGET_YAML, from, to))).to.deep.equal([`dvipa.yaml:${want}`]);
    });
  }
});
