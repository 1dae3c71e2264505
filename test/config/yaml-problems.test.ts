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
    [
      'an alias of nothing',
      'role: *nothing\n',
      ': aliases cannot be resolved: Unresolved alias (the anchor must be set before the alias): nothing',
    ],
    ['deep brackets', '['.repeat(60_000), ': nested too deeply, expected a few levels'],
    ['deep dashes', '- '.repeat(30_000), ': nested too deeply, expected a few levels'],
    ['deep anchored dashes', '- &a '.repeat(13_000), ': nested too deeply, expected a few levels'],
    [
      'deep indentation',
      Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
      ': nested too deeply, expected a few levels',
    ],
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
      /^dvipa\.yaml: aliases cannot be resolved: /,
    );
  });

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
