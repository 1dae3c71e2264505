import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { parseYaml } from '../../src/config/document.ts';
import { commentedExample, uncommented } from '../../src/config/reference/commented-example.ts';
import { planHosts } from '../../src/lab/addresses.ts';
import { templateValues } from '../../src/lab/host-files.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { readScenario, renderHost, scenarioNames } from '../../src/lab/scenario.ts';
import { skipBecause } from '../support/summary-reporter.ts';
import { ROUTE_YAML, TARGET_YAML } from './example.ts';
import { change, problemsOf } from './problems.ts';

/** Debian's, whatever else is in PATH: scripts/setup installs its packages. */
const PYTHON = '/usr/bin/python3';

/** What an independent validator says of each file: null if it is valid. */
function judge(texts: readonly string[]): (string | null)[] {
  const schema: unknown = JSON.parse(readFileSync(`${PROJECT_ROOT}/docs/dvipa.schema.json`, 'utf8'));
  const instances = texts.map((text) => parseYaml(text, 'dvipa.yaml').value ?? null);
  const { stdout, stderr } = spawnSync(PYTHON, [`${PROJECT_ROOT}/test/config/json-schema.py`], {
    input: JSON.stringify({ schema, instances }),
    encoding: 'utf8',
  });
  expect(stderr).to.equal('');
  return JSON.parse(stdout) as (string | null)[];
}

/** Every dvipa.yaml that the lab gives a host. */
function labFiles(): string[] {
  const hosts = planHosts({ targets: 3, clients: 2, kernels: 1 });
  return scenarioNames(PROJECT_ROOT).flatMap((name) => {
    const scenario = readScenario(PROJECT_ROOT, name);
    const context = { scenario, hosts, folder: '/lab', values: {} };
    return hosts.flatMap(
      (host) => renderHost(scenario, host, templateValues(context, host)).get('dvipa.yaml') ?? [],
    );
  });
}

/** What in a valid file is replaced by what. */
type Change = [from: string, to: string];

const WRONG_ROUTE: Readonly<Record<string, Change>> = {
  'no role': ['role: route\n', ''],
  'an unknown role': ['role: route', 'role: router'],
  'the other role': ['role: route', 'role: target'],
  'an unknown key': ['host: router1', 'host: router1\nhosts: router1'],
  'an unknown key of a DVIPA': ['endpoint:', 'endpont:'],
  "a target's section": ['host: router1', 'host: router1\ntun: { mtu: 1500 }'],
  'no host': ['host: router1\n', ''],
  'a host with an underscore': ['router1\n', 'router_1\n'],
  'a host that is a number': ['router1\n', '17\n'],
  'an address that is none': ['203.0.113.10', '203.0.113.256'],
  'an octal-looking address': ['203.0.113.10', '203.0.113.010'],
  'an empty list of endpoints': ['192.0.2.10', '[]'],
  'a name in a list of endpoints': ['192.0.2.10', '[192.0.2.10, router1]'],
  'a cluster address that is IPv6': ['198.51.100.1 }', '"2001:db8::1" }'],
  'an unknown method': ['round-robin', 'random'],
  'no targets of a DVIPA': ['      targets: [target1, target2]\n'.slice(2), ''],
  'a rule without an action': ['action: permit, ', ''],
  'a rule for a protocol 0': ['protocol: tcp', 'protocol: 0'],
  'a protocol by number that has a name': ['protocol: tcp', 'protocol: 6'],
  'a range of words': ['ports: "80"', 'ports: http'],
  'a port of -1': ['ports: "80"', 'ports: -1'],
  'a source that is a name': ['10.9.0.0/16', 'office'],
  'an affinity that is none': ['distribution:', 'affinity: source\n    distribution:'],
  'an affinity of too many seconds': [
    'distribution:',
    'affinity: { source_seconds: 86401 }\n    distribution:',
  ],
  'a weight of 0': ['distribution:', 'weights: { target1: 0 }\n    distribution:'],
  'a word for a truth': ['distribution:', 'switch_back: yes\n    distribution:'],
  'a service without a port': ['distribution:', 'services: [{ protocol: tcp }]\n    distribution:'],
  'an interface with a long name': ['outside0', 'outside012345678'],
  'an interface named ..': ['outside0', '".."'],
  'a path with a control character': ['pki/ca.pem', '"pki/\\x85ca.pem"'],
  'an MTU with a fraction': ['cluster0,', 'cluster0, mtu: 1500.5,'],
  'an MTU below the least': ['cluster0,', 'cluster0, mtu: 1279,'],
  'a table that is no power of two': ['host: router1', 'host: router1\nconnection_table: { entries: 1000 }'],
  'a relative socket': ['host: router1', 'host: router1\nadmin: { socket: route.sock }'],
  'a section without its keys': ['host: router1', 'host: router1\nkeys_export: {}'],
  'an empty section': ['host: router1', 'host: router1\nlog:'],
  'a list for a section': ['{ interface: outside0 }', '[outside0]'],
};

const WRONG_TARGET: Readonly<Record<string, Change>> = {
  "a routing host's section": ['host: target1', 'host: target1\nstamping: on'],
  'no routing host': ['router: { host: router1, address: 198.51.100.1 }\n', ''],
  'a DVIPA with its rules': ['[203.0.113.10]', '[{ address: 203.0.113.10 }]'],
  'a small TUN': ['host: target1', 'host: target1\ntun: { mtu: 575 }'],
  'a heartbeat of no number': ['host: target1', 'host: target1\nlog: { level: 3 }'],
};

/** Refused by `dvipa check-config`, and nothing that a JSON Schema could tell. */
const BEYOND: Readonly<Record<string, Change>> = {
  'a target that is not declared': ['[target1, target2]', '[target1, target3]'],
  'an endpoint in another spelling': ['192.0.2.10', '"2001:db8:0::1"'],
  'a port beyond the last in a range': ['ports: "80"', 'ports: 80-65536'],
};

describe('JSON Schema for editors', function () {
  this.timeout(60_000);

  before(function () {
    const { status } = spawnSync(PYTHON, ['-c', 'import jsonschema']);
    if (status !== 0) skipBecause(this, 'python3-jsonschema is missing (scripts/setup test)');
  });

  it('takes every file that the project has: examples, documentation, lab', () => {
    const page = readFileSync(`${PROJECT_ROOT}/docs/configuration.md`, 'utf8');
    const shown = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text]) => text ?? '');
    const examples = (['route', 'target'] as const).map(commentedExample);
    const texts = [
      ROUTE_YAML,
      TARGET_YAML,
      ...shown,
      ...examples,
      ...examples.map(uncommented),
      ...labFiles(),
    ];
    expect(texts).to.have.lengthOf.above(20);
    for (const text of texts) expect(problemsOf(text)).to.deep.equal([]);
    expect(judge(texts)).to.deep.equal(texts.map(() => null));
  });

  it('refuses what `dvipa check-config` refuses, where it has words for it', () => {
    const cases = [
      ...Object.entries(WRONG_ROUTE).map(([what, [from, to]]) => ({
        what,
        text: change(ROUTE_YAML, from, to),
      })),
      ...Object.entries(WRONG_TARGET).map(([what, [from, to]]) => ({
        what,
        text: change(TARGET_YAML, from, to),
      })),
    ];
    const faults = judge(cases.map(({ text }) => text));
    for (const [i, { what, text }] of cases.entries()) {
      expect(problemsOf(text), what).to.not.deep.equal([]);
      expect(faults[i], what).to.be.a('string');
    }
  });

  it('leaves to `dvipa check-config` what only that can tell', () => {
    const texts = Object.values(BEYOND).map(([from, to]) => change(ROUTE_YAML, from, to));
    for (const text of texts) expect(problemsOf(text), text).to.have.lengthOf(1);
    expect(judge(texts)).to.deep.equal(texts.map(() => null));
  });

  it('refuses no file that `dvipa check-config` takes, whatever part of a valid one is replaced', () => {
    const whole = uncommented(commentedExample('route')).replaceAll(/^ *#.*\n/gm, '');
    const replacement = fc.oneof(
      fc.constantFrom(
        '',
        '~',
        '[]',
        '{}',
        '-1',
        '0',
        '16',
        '"80"',
        'none',
        'sa',
        'on',
        'any',
        '::1',
        '2001:db8::1',
      ),
      fc.string({ maxLength: 4 }),
    );
    const changed = fc.tuple(fc.nat(whole.length), fc.nat(6), replacement);
    const texts = fc
      .sample(changed, { numRuns: 1500, seed: 5 })
      .map(([start, length, text]) => whole.slice(0, start) + text + whole.slice(start + length))
      .filter((text) => problemsOf(text).length === 0);
    expect(texts).to.have.lengthOf.above(100);
    expect(judge(texts)).to.deep.equal(texts.map(() => null));
  });
});
