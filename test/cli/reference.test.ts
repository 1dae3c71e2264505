import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type CommandEntry, commandTree, everyCommand } from '../../src/cli/command-tree.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { fillRegion } from '../../src/cli/reference/marked-region.ts';
import { PAGES } from '../../src/cli/reference/pages.ts';
import { parseConfig } from '../../src/config/index.ts';
import { skipBecause } from '../support/summary-reporter.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const manPages = readdirSync(new URL('docs/man/', root)).toSorted();

describe('reference of dvipa', () => {
  let program: CommandEntry;
  let folder = '';
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-man-'));
    program = commandTree(buildProgram());
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const { path, fill } of PAGES) {
    it(`${path} has commands and keys as they are (else: npm run docs)`, () => {
      const page = read(path);
      // Whole pages side by side would hide what to do.
      expect(fill(page, program) === page, 'up to date').to.equal(true);
    });
  }

  it('docs/cli.md tells in its table what each command does', () => {
    const [table = ''] = read('docs/cli.md').split('\n## ', 1);
    const missing = program.subcommands
      .map(({ path }) => path[0])
      .filter((name) => !new RegExp(`^\\| \`dvipa ${name}[ \`]`, 'm').test(table));
    expect(missing).to.deep.equal([]);
  });

  for (const page of manPages) {
    const name = page.replace(/\.scd$/, '');
    it(`${name.replace(/\.(\d)$/, '($1)')} is a man page without a fault`, function () {
      const made = spawnSync('scdoc', { input: read(`docs/man/${page}`), encoding: 'utf8' });
      if (made.error !== undefined)
        skipBecause(this, 'scdoc is not installed (scripts/setup test installs it)');
      expect(made).to.include({ status: 0, stderr: '' });
      const file = join(folder, name);
      writeFileSync(file, made.stdout);
      const judged = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', file], { encoding: 'utf8' });
      if (judged.error !== undefined)
        skipBecause(this, 'mandoc is not installed (scripts/setup test installs it)');
      // scdoc writes more paragraph macros than are needed, all over.
      const faults = judged.stdout.split('\n').filter((line) => !/skipping paragraph macro|^$/.test(line));
      expect(faults).to.deep.equal([]);
    });
  }

  it('dvipa(1) as it is read names every command and every option', function () {
    const made = spawnSync('scdoc', { input: read('docs/man/dvipa.1.scd'), encoding: 'utf8' });
    if (made.error !== undefined)
      skipBecause(this, 'scdoc is not installed (scripts/setup test installs it)');
    const file = join(folder, 'read.1');
    writeFileSync(file, made.stdout);
    const shown = spawnSync('mandoc', ['-T', 'ascii', '-O', 'width=200', file], { encoding: 'utf8' });
    if (shown.error !== undefined)
      skipBecause(this, 'mandoc is not installed (scripts/setup test installs it)');
    // A letter, a backspace and the same letter: bold. An underscore and a backspace: underlined.
    // oxlint-disable-next-line no-control-regex
    const text = shown.stdout.replaceAll(/.\u0008/g, '');
    for (const { usage, options, examples } of everyCommand(program).slice(1)) {
      const at = text.indexOf(`       ${usage}\n`);
      expect(at, usage).to.be.above(0);
      const entry = text.slice(at + 1, text.indexOf('\n       dvipa ', at + 10));
      for (const option of options.filter(({ flags }) => !flags.includes('--help')))
        expect(entry, usage).to.contain(`  ${option.usage}\n`);
      for (const [line] of examples) expect(entry, usage).to.contain(line);
    }
  });

  it('kernel-dvipa.conf(5) names every setting of the file that is installed, with its default', () => {
    const page = read('docs/man/kernel-dvipa.conf.5.scd');
    const file = read('plugins/strongswan/kernel-dvipa/kernel-dvipa.conf');
    const settings = [...file.matchAll(/^ +(?:# )?([a-z_]+) =(.*)$/gm)];
    expect(settings).to.have.lengthOf.above(7);
    for (const [, name, value] of settings) {
      expect(page).to.match(new RegExp(`\\*${name}\\* = .*${name === 'load' ? 'yes' : value?.trim()}`));
    }
  });

  it('dvipa.yaml(5) shows a file that is valid', () => {
    const [, file = ''] = /^```\n(.*?)^```$/ms.exec(read('docs/man/dvipa.yaml.5.scd')) ?? [];
    expect(parseConfig(file, 'dvipa.yaml').role).to.equal('target');
  });

  it('a marked region is filled again and again with the same result, and a page without its marks is refused', () => {
    const page = 'before\n<!-- begin -->\nold\n<!-- end -->\nafter\n';
    const filled = fillRegion(page, 'begin', 'end', 'new\nlines\n');
    expect(filled).to.equal('before\n<!-- begin -->\n\nnew\nlines\n\n<!-- end -->\nafter\n');
    expect(fillRegion(filled, 'begin', 'end', 'new\nlines\n')).to.equal(filled);
    expect(() => fillRegion('<!-- begin -->\n', 'begin', 'end', '')).to.throw('found 0');
    expect(() => fillRegion('begin\nbegin\nend\n', 'begin', 'end', '')).to.throw('found 2');
    expect(() => fillRegion('end\nbegin\n', 'begin', 'end', '')).to.throw('before');
  });
});
