import { expect } from 'chai';
import { parseConfig, type RouteConfig } from '../../src/config/index.ts';
import { ROUTE_YAML } from './example.ts';
import { change, problemsOf } from './problems.ts';

describe('rules in the configuration of a routing host', () => {
  it('a rule takes a protocol by number, ports of the source, and may ask for IPsec', () => {
    const yaml = change(
      ROUTE_YAML,
      'deny, protocol: any,',
      'require-ipsec, protocol: 132, source_ports: "1024-65535",',
    );
    const [dvipa] = (parseConfig(yaml, 'dvipa.yaml') as RouteConfig).dvipas;
    expect(dvipa?.rules[1]).to.deep.equal({
      action: 'require-ipsec',
      protocol: 132,
      source: '10.9.0.0/16',
      sourcePorts: { from: 1024, to: 65_535 },
      ports: { from: 0, to: 65_535 },
    });
  });

  it('clear text is rejected unless the file says otherwise', () => {
    const clearOf = (yaml: string) => (parseConfig(yaml, 'dvipa.yaml') as RouteConfig).dvipas[0]?.clearText;
    expect(clearOf(ROUTE_YAML)).to.equal('reject');
    const yaml = change(ROUTE_YAML, '    rules:\n', '    clear_text: distribute\n    rules:\n');
    expect(clearOf(yaml)).to.equal('distribute');
  });

  it('clear text that no rule permits is a contradiction', () => {
    const place = '    distribution: round-robin\n';
    const distributing = change(ROUTE_YAML, place, `${place}    clear_text: distribute\n`);
    const want = 'clear_text: "distribute" has no effect, expected a rule that permits something';
    expect(problemsOf(change(distributing, 'action: permit', 'action: require-ipsec'))).to.deep.equal([
      `dvipa.yaml:11:17: dvipas.0.${want}`,
    ]);
  });

  const cases: readonly (readonly [what: string, from: string, to: string, want: string])[] = [
    [
      'source ports for any protocol',
      'deny, protocol: any, ',
      'deny, protocol: any, source_ports: 1024-65535, ',
      '9:54: dvipas.0.rules.1.source_ports: "1024-65535" ports do not go with protocol any, expected tcp or udp',
    ],
    [
      'source ports for a protocol without ports',
      'deny, protocol: any, ',
      'deny, protocol: 47, source_ports: 1, ',
      '9:53: dvipas.0.rules.1.source_ports: 1 ports do not go with protocol 47, expected tcp or udp',
    ],
    [
      'the number of a protocol that has a name',
      'protocol: tcp',
      'protocol: 6',
      '8:37: dvipas.0.rules.0.protocol: 6, expected its name: tcp',
    ],
    [
      'a protocol above 255',
      'protocol: any',
      'protocol: 256',
      '9:35: dvipas.0.rules.1.protocol: 256, expected one of tcp, udp, icmp, icmpv6, any, or the number of another protocol from 1 to 255',
    ],
    [
      'an unknown action',
      'action: permit',
      'action: allow',
      '8:19: dvipas.0.rules.0.action: "allow", expected one of permit, deny, require-ipsec',
    ],
  ];
  for (const [what, from, to, want] of cases) {
    it(`the configuration refuses ${what}`, () => {
      expect(problemsOf(change(ROUTE_YAML, from, to))).to.deep.equal([`dvipa.yaml:${want}`]);
    });
  }
});
