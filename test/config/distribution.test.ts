import { expect } from 'chai';
import { distributionOf } from '../../src/agents/routing/distribution-settings.ts';
import { parseConfig, type RouteConfig } from '../../src/config/index.ts';
import { ROUTE_YAML } from './example.ts';
import { change, problemsOf } from './problems.ts';

const LINE = '    distribution: round-robin\n';
/** The example with these lines in place of the DVIPA's distribution, in line 10. */
const withLines = (...lines: string[]) =>
  change(ROUTE_YAML, LINE, lines.map((line) => `    ${line}\n`).join(''));
const parse = (...lines: string[]) => parseConfig(withLines(...lines), 'dvipa.yaml') as RouteConfig;

const indexesOf = (targets: RouteConfig['targets']) =>
  new Map(targets.map(({ host }, index) => [host, index]));

describe('configuration of distribution', () => {
  it('a service says what differs from its DVIPA, and inherits the rest', () => {
    const { dvipas, targets } = parse(
      'distribution: server-load',
      'weights: { target2: 3 }',
      'affinity: { source_seconds: 300 }',
      'services:',
      '  - { protocol: tcp, port: 443, distribution: hot-standby, switch_back: false, targets: [target2] }',
      '  - { protocol: udp, port: 53, affinity: none, weights: { target1: 2 } }',
    );
    const [dvipa] = dvipas;
    if (dvipa === undefined) throw new Error('no DVIPA');
    expect(dvipa).to.deep.include({
      distribution: 'server-load',
      weights: { target2: 3 },
      affinity: { sourceSeconds: 300 },
      switchBack: true,
    });
    const [https, dns] = dvipa.services;
    expect(https).to.deep.equal({
      protocol: 'tcp',
      port: 443,
      distribution: 'hot-standby',
      weights: { target2: 3 },
      affinity: { sourceSeconds: 300 },
      switchBack: false,
      targets: ['target2'],
    });
    expect(dns).to.deep.include({ distribution: 'server-load', affinity: 'none', weights: { target1: 2 } });
    const settings = distributionOf(dvipa, targets, indexesOf(targets));
    expect(settings.targets).to.deep.equal([0, 1]);
    expect(settings.weights).to.deep.equal(new Map([[1, 3]]));
    expect(settings.services?.map(({ protocol, port, targets }) => [protocol, port, targets])).to.deep.equal([
      [6, 443, [1]],
      [17, 53, [0, 1]],
    ]);
  });

  it('the order of targets is that of the DVIPA or service, their numbers those of the file', () => {
    const text = change(withLines('distribution: hot-standby'), '[target1, target2]', '[target2, target1]');
    const { dvipas, targets } = parseConfig(text, 'dvipa.yaml') as RouteConfig;
    expect(dvipas.map((dvipa) => distributionOf(dvipa, targets, indexesOf(targets)).targets)).to.deep.equal([
      [1, 0],
    ]);
  });

  it('the connection table has a power of two of entries', () => {
    const of = (entries: string) => `${ROUTE_YAML}connection_table: { entries: ${entries} }\n`;
    expect(parseConfig(of('1048576'), 'dvipa.yaml')).to.have.nested.property(
      'connectionTable.entries',
      1_048_576,
    );
    for (const entries of ['1000', '8', '2097152', '-16', '16.5', '"64"']) {
      expect(problemsOf(of(entries))).to.deep.equal([
        `dvipa.yaml:21:30: connection_table.entries: ${entries}, expected a power of two from 16 to 1048576`,
      ]);
    }
  });

  const METHODS = 'expected one of round-robin, weighted-active, server-load, hot-standby, maglev';
  const AFFINITY = 'expected none, sa or { source_seconds: 1 to 86400 }';
  const cases: [what: string, lines: string[], ...want: string[]][] = [
    [
      'a weight for a target of another DVIPA or none',
      ['weights: { target3: 2 }'],
      '10:25: dvipas.0.weights.target3: 2 is the weight of no target here, expected one of target1, target2',
    ],
    [
      'a weight of 0',
      ['weights: { target1: 0 }'],
      '10:25: dvipas.0.weights.target1: 0, expected a weight from 1 to 100',
    ],
    [
      'weights in a list',
      ['weights: [1, 2]'],
      '10:14: dvipas.0.weights: a list of 2, expected a mapping of targets to weights, such as { target2: 3 }',
    ],
    ['an unknown affinity', ['affinity: ip'], `10:15: dvipas.0.affinity: "ip", ${AFFINITY}`],
    ['an affinity in a list', ['affinity: [sa]'], `10:15: dvipas.0.affinity: a list of 1, ${AFFINITY}`],
    [
      'an affinity that is too long',
      ['affinity: { source_seconds: 100000 }'],
      '10:33: dvipas.0.affinity.source_seconds: 100000, expected seconds from 1 to 86400',
    ],
    [
      'an affinity with an unknown key',
      ['affinity: { source_seconds: 1, sa: 2 }'],
      '10:36: dvipas.0.affinity.sa: unknown key, expected one of source_seconds',
    ],
    [
      'switch_back without hot standby',
      ['switch_back: true'],
      '10:18: dvipas.0.switch_back: true is for hot-standby, expected none with round-robin',
    ],
    [
      'switch_back that is no truth value',
      ['distribution: hot-standby', 'switch_back: yes'],
      '11:18: dvipas.0.switch_back: "yes", expected true or false',
    ],
    [
      'a service with an unknown method',
      ['services: [{ protocol: tcp, port: 80, distribution: least }]'],
      `10:57: dvipas.0.services.0.distribution: "least", ${METHODS}`,
    ],
    [
      'a service without a port',
      ['services: [{ protocol: tcp }]'],
      '10:16: dvipas.0.services.0.port: missing, expected a port from 1 to 65535',
    ],
    [
      'a service of ICMP',
      ['services: [{ protocol: icmp, port: 80 }]'],
      '10:28: dvipas.0.services.0.protocol: "icmp", expected one of tcp, udp',
    ],
    [
      'a service that is there twice',
      ['services: [{ protocol: tcp, port: 80 }, { protocol: udp, port: 80 }, { protocol: tcp, port: 80 }]'],
      '10:97: dvipas.0.services.2.port: 80 is there already as number 0, expected each once',
    ],
    [
      'a service with a target that the DVIPA has not',
      ['services: [{ protocol: tcp, port: 80, targets: [target1, target3] }]'],
      '10:62: dvipas.0.services.0.targets.1: "target3" is no target of the DVIPA, expected one of target1, target2',
    ],
    [
      'a service with a weight for a target that it has not',
      ['services: [{ protocol: tcp, port: 80, targets: [target1], weights: { target2: 2 } }]'],
      '10:83: dvipas.0.services.0.weights.target2: 2 is the weight of no target here, expected one of target1',
    ],
    [
      'a service with switch_back and another method',
      ['services: [{ protocol: tcp, port: 80, distribution: maglev, switch_back: false }]'],
      '10:78: dvipas.0.services.0.switch_back: false is for hot-standby, expected none with maglev',
    ],
  ];
  for (const [what, lines, ...want] of cases) {
    it(`the configuration refuses ${what}`, () => {
      expect(problemsOf(withLines(...lines))).to.deep.equal(want.map((line) => `dvipa.yaml:${line}`));
    });
  }
});
