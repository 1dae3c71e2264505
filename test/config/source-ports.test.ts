import { expect } from 'chai';
import { parseConfig, type RouteConfig, type TargetConfig } from '../../src/config/index.ts';
import { ROUTE_YAML, TARGET_YAML } from './example.ts';
import { change, problemsOf } from './problems.ts';

const LINE = '    distribution: round-robin\n';
const withLines = (...lines: string[]) =>
  change(ROUTE_YAML, LINE, lines.map((line) => `    ${line}\n`).join(''));
const of = (text: string) => (parseConfig(text, 'dvipa.yaml') as RouteConfig).dvipas[0]?.sourcePorts;

describe('configuration of source ports', () => {
  it('Linux’s own range is shared out among the targets, unless the file says otherwise', () => {
    expect(of(ROUTE_YAML)).deep.equal({ from: 32_768, to: 60_999, block: 14_116 });
    expect(of(withLines('source_ports: { from: 40000, to: 40009 }'))).deep.equal({
      from: 40_000,
      to: 40_009,
      block: 5,
    });
    expect(of(withLines('source_ports: { block: 1024 }'))).deep.equal({
      from: 32_768,
      to: 60_999,
      block: 1024,
    });
  });

  const cases: [what: string, lines: string[], ...want: string[]][] = [
    [
      'a service among them',
      ['services: [{ protocol: tcp, port: 40000 }]'],
      '10:39: dvipas.0.services.0.port: 40000 is a source port of the DVIPA, expected none from 32768 to 60999, or other source_ports',
    ],
    [
      'an end before the beginning',
      ['source_ports: { from: 40000, to: 39999 }'],
      '10:38: dvipas.0.source_ports.to: 39999 is below from, expected a port from 40000 to 65535',
    ],
    [
      'fewer than targets',
      ['source_ports: { from: 40000, to: 40000 }'],
      '10:38: dvipas.0.source_ports.to: 40000 leaves some of 2 targets without a port, expected more',
    ],
    [
      'blocks that the range has no room for',
      ['source_ports: { block: 20000 }'],
      '10:28: dvipas.0.source_ports.block: 20000 is too much for 2 targets, expected ports from 1 to 14116',
    ],
    [
      'a port that is a well-known one',
      ['source_ports: { from: 80 }'],
      '10:27: dvipas.0.source_ports.from: 80, expected a port from 1024 to 65535',
    ],
    [
      'another key',
      ['source_ports: { size: 5 }'],
      '10:21: dvipas.0.source_ports.size: unknown key, expected one of from, to, block',
    ],
  ];
  for (const [what, lines, ...want] of cases) {
    it(`it refuses ${what}`, () => {
      expect(problemsOf(withLines(...lines))).deep.equal(want.map((line) => `dvipa.yaml:${line}`));
    });
  }

  it('a service outside of them is fine', () => {
    const text = withLines(
      'source_ports: { from: 50000, to: 60000 }',
      'services: [{ protocol: tcp, port: 40000 }]',
    );
    expect(problemsOf(text)).deep.equal([]);
  });

  it('a target sets its kernel’s range only if it is told to', () => {
    const text = `${TARGET_YAML}source_ports: { manage: true }\n`;
    expect((parseConfig(text, 'dvipa.yaml') as TargetConfig).sourcePorts).deep.equal({ manage: true });
    expect(problemsOf(`${TARGET_YAML}source_ports: { manage: yes }\n`)).deep.equal([
      'dvipa.yaml:11:25: source_ports.manage: "yes", expected true or false',
    ]);
  });
});
