import { expect } from 'chai';
import * as fc from 'fast-check';
import { problemsOf } from './problems.ts';
import { ROUTE_YAML } from './example.ts';

describe('configuration file as YAML', () => {
  const cases: [what: string, text: string, want: string][] = [
    ['an empty file', '', ':1:1: empty, expected a mapping with role, host, dvipas ...'],
    ['a lone text', 'hello', ':1:1: "hello", expected a mapping with role, host, dvipas ...'],
    ['a list', '- role: route', ':1:1: a list of 1, expected a mapping with role, host, dvipas ...'],
    [
      'a key twice',
      'role: route\nhost: a\nhost: b\n',
      ':3:1: this key is there twice, expected each key once',
    ],
    [
      'a second document',
      'role: route\n---\nrole: target\n',
      ':2:1: a second document starts here, expected one document in the file',
    ],
    ['an unknown tag', 'role: !secret route\n', ':1:7: Unresolved tag: !secret (YAML)'],
    ['a tab as indentation', 'cluster:\n\taddress: 1\n', ':2:1: Tabs are not allowed as indentation (YAML)'],
    [
      'an unclosed list',
      'role: [route\n',
      ':2:1: Flow sequence in block collection must be sufficiently indented and end with a ] (YAML)',
    ],
    ['an alias of nothing', 'role: *nothing\n', ':1:7: an alias of nothing, expected &nothing before it'],
    ['deep brackets', '['.repeat(60_000), ':1:101: nested too deeply, expected a few levels'],
    ['deep dashes', '- '.repeat(30_000), ':1:201: nested too deeply, expected a few levels'],
    ['deep anchored dashes', '- &a '.repeat(13_000), ':1:501: nested too deeply, expected a few levels'],
    [
      'deep indentation',
      Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
      ':102:1: nested too deeply, expected a few levels',
    ],
    [
      'a key twice, as a number and as a text',
      'dvipas: [{ weights: { 7: 1, "7": 2 } }]',
      ':1:29: this key is there twice, expected each key once',
    ],
    ['a list as a key', '? [a]\n: 1\n', ':1:3: a key that is no word, expected a word'],
    ['an empty key', 'role: route\n: 1\n', ':2:1: a key that is no word, expected a word'],
    ['an alias as a key', 'role: &a route\n*a : 1\n', ':2:1: a key that is no word, expected a word'],
    [
      'an alias of what is around it',
      'role: &a [*a]\nhost: *b\n',
      ':2:7: an alias of nothing, expected &b before it',
    ],
    [
      'aliases without end',
      `role: &a x\nhost: [${'*a, '.repeat(101)}]\n`,
      ':2:408: one alias too many, expected at most 100',
    ],
    [
      'another dialect',
      '# of old\n%YAML 1.1\n---\nrole: route\n',
      ':2:1: not YAML 1.2, expected no %YAML line',
    ],
    ['a set', 'log: !!set { level }\n', ':1:6: Unresolved tag: tag:yaml.org,2002:set (YAML)'],
    ['an ordered map', 'log: !!omap [level: info]\n', ':1:6: Unresolved tag: tag:yaml.org,2002:omap (YAML)'],
    ['bytes', 'host: !!binary aGk=\n', ':1:7: Unresolved tag: tag:yaml.org,2002:binary (YAML)'],
    ['a merge key', 'role: route\n<<: { host: a }\n', ':1:1: host: missing'],
    ['a file over its cap', 'a'.repeat(65_537), ': too large, expected at most 65536 bytes'],
  ];
  for (const [what, text, want] of cases) {
    it(`the configuration refuses ${what}`, () => {
      expect(problemsOf(text)[0]).to.match(
        new RegExp(`^dvipa\\.yaml${want.replaceAll(/[[\]().*+?{}!"|]/g, '\\$&')}`),
      );
    });
  }

  it('the configuration refuses an alias bomb before it goes off', () => {
    const levels = 'abcdefgh'.split('').map((name, i, all) => {
      const part = i === 0 ? 'x' : `*${all[i - 1]}`;
      return `${name}: &${name} [${Array(10).fill(part).join(', ')}]`;
    });
    expect(problemsOf(`role: route\n${levels.join('\n')}\n`)[0]).to.match(
      /^dvipa\.yaml:9:44: aliases expand to too much, expected at most 100 nodes$/,
    );
  });

  it('the configuration refuses __proto__ wherever it is, also where targets are named', () => {
    const refused = 'unknown key __proto__, expected the name of an option or of a target';
    const weights = ROUTE_YAML.replace('distribution: round-robin', 'weights: { __proto__: 3 }');
    expect(problemsOf(weights)).to.deep.equal([`dvipa.yaml:10:16: ${refused}`]);
    const outside = ROUTE_YAML.replace('{ interface: outside0 }', '{ "__proto__": { interface: outside0 } }');
    expect(problemsOf(outside)).to.deep.equal([`dvipa.yaml:12:12: ${refused}`]);
  });

  it('a problem is one line of modest length that no terminal obeys, whatever keys and values are', () => {
    const hostile = `"\\e[2J${'k'.repeat(900)}": 1\n"a\\nb": 1\nstamping: "\\e[2J\\x9b\\u202e"\n`;
    const problems = problemsOf(ROUTE_YAML + hostile);
    expect(problems).to.have.lengthOf(3);
    for (const problem of problems) expect(problem).to.match(/^[ -~]{1,360}$/);
    expect(problems[2]).to.contain('\\u001b[2J\\u009b\\u202e');
  });

  it('a value that is wrong in two ways with one message is told once', () => {
    expect(problemsOf(`${ROUTE_YAML}connection_table: { entries: 1e23 }\n`)).to.have.lengthOf(1);
  });

  const typos: [written: string, meant: string | undefined][] = [
    ['lgo', 'log'],
    ['cuopling', 'coupling'],
    ['Stamping', 'stamping'],
    ['trusted-link', 'trusted_link'],
    ['connection_tables', 'connection_table'],
    ['verificaton', 'verification'],
    ['lo', 'log'],
    ['hsot', 'host'],
    ['l', undefined],
    ['constructor', undefined],
    ['heartbeat_ms', undefined],
  ];
  for (const [written, meant] of typos) {
    it(`an unknown key ${written} ${meant === undefined ? 'is near to none' : `may mean ${meant}`}`, () => {
      const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
      const problems = problemsOf(`${ROUTE_YAML}${written}: {}\n`);
      expect(problems).to.have.lengthOf(1);
      expect(problems[0]).to.contain(`${written}: unknown key${hint}, expected one of role, host, `);
    });
  }

  it('the configuration follows an alias to the place of a wrong value', () => {
    const text = ROUTE_YAML.replace('{ interface: outside0 }', '&here { interface: "" }').replace(
      /cluster: \{.*\}/,
      'cluster: *here',
    );
    expect(problemsOf(text)).to.deep.equal([
      'dvipa.yaml:12:29: outside.interface: "", expected the name of a network interface (at most 15 characters)',
      'dvipa.yaml:12:29: cluster.interface: "", expected the name of a network interface (at most 15 characters)',
      'dvipa.yaml:13:10: cluster.address: missing, expected the IPv4 address of one host (the cluster network is IPv4)',
    ]);
  });

  it('a long line is no deep nesting', () => {
    const names = Array.from({ length: 32 }, (_, i) => `target${i + 1}`);
    const declared = names.map((host, i) => `{ host: ${host}, address: 198.51.100.${11 + i} }`);
    const text = ROUTE_YAML.replace('[target1, target2]', `[ ${names.join(', ')} ]`).replace(
      /targets:\n(?: {2}- \{.*\n)+/,
      `targets: [ ${declared.join(',   ')} ]\n`,
    );
    expect(problemsOf(text)).to.deep.equal([]);
  });

  it('the configuration tells at most 50 problems', () => {
    const text = Array.from({ length: 200 }, (_, i) => `key${i}: 1`).join('\n');
    expect(problemsOf(`role: route\n${text}`)).to.have.lengthOf(50);
  });

  it('whatever the text is, reading a configuration throws nothing but ConfigError', () => {
    const token = fc.constantFrom(
      ...'{}[]:,-?&*!|>%@`"\'#\n \t\0\u2028'.split(''),
      'role: route\n',
      'role: target\n',
      'dvipas:\n',
      '  - ',
      '&a ',
      '*a ',
      '<<: ',
      '!!map ',
      '!!binary ',
      '---\n',
      '...\n',
      '__proto__: ',
      'constructor: ',
      'null',
      '1e999',
      '.nan',
      '0x1',
      '\r\n',
      '\uFEFF',
      '\u{1F600}',
      '\uD800',
    );
    const soup = fc.array(token, { maxLength: 60 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(soup, fc.string({ unit: 'binary', maxLength: 200 })), (text) => {
        problemsOf(text);
      }),
      { numRuns: 2000, seed: 2 },
    );
  });

  it('whatever part of a valid file is replaced, reading it throws nothing but ConfigError', () => {
    const replacement = fc.oneof(
      fc.constantFrom('', '~', '[]', '{}', '-1', '1e30', '"\\0"', '*x', '&x', 'yes', '[[]]', '{a: b}', ': :'),
      fc.string({ maxLength: 8 }),
    );
    const at = fc.nat(ROUTE_YAML.length);
    fc.assert(
      fc.property(at, fc.nat(30), replacement, (start, length, text) => {
        problemsOf(ROUTE_YAML.slice(0, start) + text + ROUTE_YAML.slice(start + length));
      }),
      { numRuns: 2000, seed: 3 },
    );
  });
});
