import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Argument, Command, Option } from 'commander';
import { type CommandEntry, commandTree, everyCommand } from '../../src/cli/command-tree.ts';
import { bashScript } from '../../src/cli/completion/bash.ts';
import { fishScript } from '../../src/cli/completion/fish.ts';
import { zshScript } from '../../src/cli/completion/zsh.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { type AdminServer, startAdminServer } from '../../src/io/admin-server.ts';
import { skipBecause } from '../support/summary-reporter.ts';
import { SAS, STATUS, TARGETS } from '../observe/samples.ts';
import { completeInBash, completeInFish, typeInto } from './shells.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const GENERATORS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** Commands with every kind of value, under names that no command of ours needs to have. */
function sampleProgram(): Command {
  const socket = () => new Option('--socket <path>', 'where the agent is');
  return new Command('dvipa')
    .helpCommand(false)
    .addCommand(
      new Command('drain').description("it's [one]: target").argument('<target>').addOption(socket()),
    )
    .addCommand(
      new Command('trace')
        .description('packets')
        .addOption(socket())
        .option('--dvipa <address>', 'of one DVIPA')
        .option('--ike <name>', 'of one IKE_SA')
        .option('--child <name>', 'of one CHILD_SA')
        .addArgument(new Argument('<when>').choices(['before', 'after']))
        .argument('<spi>'),
    )
    .addCommand(
      new Command('lab').addCommand(new Command('exec').argument('<lab-host>').argument('<command-line...>')),
    );
}

/** Command lines of the sample, and what a shell must offer. `SOCKET` stands for the agent's. */
const QUERIES: readonly (readonly [line: string, offers: readonly string[]])[] = [
  ['dvipa ', ['drain', 'trace', 'lab']],
  ['dvipa tr', ['trace']],
  ['dvipa drain --socket SOCKET ', ['target1', 'target3']],
  ['dvipa drain --socket SOCKET target3', ['target3']],
  ['dvipa drain --socket /nowhere ', []],
  ['dvipa trace --socket SOCKET --dvipa 2', ['203.0.113.10', '2001:db8::10']],
  ['dvipa trace --socket SOCKET a', ['after']],
  ['dvipa trace --socket SOCKET after c', ['c0ffee01']],
  ['dvipa trace after --dv', ['--dvipa']],
  ['dvipa trace --socket SOCKET --ike ', ['dvipa']],
  ['dvipa trace --socket SOCKET --child ', ['web']],
  ['dvipa lab ', ['exec']],
];

describe('dvipa completion', function () {
  this.timeout(60_000);
  let folder = '';
  let server: AdminServer;
  let whole: CommandEntry;
  const environment = () => ({ ...process.env, PATH: `${folder}/bin:${process.env['PATH']}`, HOME: folder });
  const scriptOf = (shell: keyof typeof GENERATORS, program: CommandEntry) => {
    const path = join(folder, `script.${shell}`);
    writeFileSync(path, GENERATORS[shell](program));
    return path;
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-completion-'));
    mkdirSync(join(folder, 'bin'));
    mkdirSync(join(folder, 'etc'));
    writeFileSync(join(folder, 'etc/route.yaml'), '');
    // Asked by a script it is the real one; called by the test's command line it says how it was called.
    const stub = join(folder, 'bin/dvipa');
    writeFileSync(
      stub,
      `#!/bin/sh\n[ "$1" = __complete ] && exec '${process.execPath}' --import tsx '${MAIN}' "$@"\necho "called: $*"\n`,
    );
    chmodSync(stub, 0o755);
    const dvipas = STATUS.dvipas.flatMap((dvipa) => [dvipa, { ...dvipa, address: '2001:db8::10' }]);
    server = await startAdminServer(join(folder, 'sock'), {
      status: () => ({ ...STATUS, dvipas }),
      targets: () => TARGETS,
      sas: () => SAS,
    });
    whole = commandTree(buildProgram());
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function needs(context: Mocha.Context, shell: string): void {
    if (spawnSync(shell, ['--version']).status !== 0)
      skipBecause(context, `${shell} is not installed (scripts/setup test installs it)`);
  }

  it('every value that a command takes is of a kind that completion knows', () => {
    const unknown = everyCommand(whole).flatMap(({ path, arguments: places, options }) =>
      [...places, ...options.flatMap(({ value }) => value ?? [])]
        .filter(({ kind, choices }) => kind === undefined && choices.length === 0)
        .map(({ name }) => `${path.join(' ')}: <${name}>`),
    );
    expect(unknown, 'name them in src/cli/values.ts').to.deep.equal([]);
  });

  for (const [shell, complete] of [
    ['bash', completeInBash],
    ['fish', completeInFish],
  ] as const) {
    it(`${shell} completes commands, options, choices and what the running agent knows`, async function () {
      needs(this, shell);
      const script = scriptOf(shell, commandTree(sampleProgram()));
      const lines = QUERIES.map(([line]) => line.replace('SOCKET', join(folder, 'sock')));
      const offered = await complete(script, lines, { env: environment() });
      for (const [i, [line, offers]] of QUERIES.entries()) expect(offered[i], line).to.have.members(offers);
    });

    it(`${shell} completes every command and option that there is`, async function () {
      needs(this, shell);
      const commands = everyCommand(whole);
      const lineOf = ({ path }: CommandEntry) => ['dvipa', ...path, ''].join(' ');
      const offered = await complete(
        scriptOf(shell, whole),
        commands.flatMap((command) => [lineOf(command), `${lineOf(command)}-`, `${lineOf(command)}--`]),
        { env: environment() },
      );
      for (const [i, command] of commands.entries()) {
        const names = command.subcommands.map(({ path }) => path.at(-1));
        if (names.length > 0) expect(offered[3 * i], lineOf(command)).to.have.members(names);
        expect(
          [...(offered[3 * i + 1] ?? []), ...(offered[3 * i + 2] ?? [])],
          lineOf(command),
        ).to.include.members(command.options.flatMap(({ flags }) => flags));
      }
    });

    it(`${shell} completes the names of files where a file is meant, and of folders where a folder is`, async function () {
      needs(this, shell);
      const lines = ['dvipa route -c etc/', 'dvipa check-config --json etc/r', 'dvipa pki init --dir e'];
      const offered = await complete(scriptOf(shell, whole), lines, { env: environment(), cwd: folder });
      expect(offered.map((words) => words.map((word) => word.replace(/\/$/, '')))).to.deep.equal([
        ['etc/route.yaml'],
        ['etc/route.yaml'],
        ['etc'],
      ]);
    });
  }

  it('bash completes what an IPv6 address goes on with, and a value behind =', async function () {
    needs(this, 'bash');
    const script = scriptOf('bash', commandTree(sampleProgram()));
    const socket = join(folder, 'sock');
    const lines = [
      `dvipa trace --socket ${socket} --dvipa 2001:d`,
      `dvipa trace --socket=${socket} --dvipa=203.0`,
    ];
    // bash takes the part behind the last colon, or behind the =, for the word.
    expect(await completeInBash(script, lines, { env: environment() })).to.deep.equal([
      ['db8::10'],
      ['203.0.113.10'],
    ]);
  });

  for (const [shell, how, start, load] of [
    ['bash', 'sources the script', ['bash', '--noprofile', '--norc', '-i'], '. FOLDER/_dvipa'],
    [
      'zsh',
      'sources the script',
      ['zsh', '-f', '-i'],
      'autoload -Uz compinit; compinit -D -u; . FOLDER/_dvipa',
    ],
    [
      'zsh',
      'finds it in fpath',
      ['zsh', '-f', '-i'],
      'fpath=(FOLDER $fpath); autoload -Uz compinit; compinit -D -u',
    ],
  ] as const) {
    it(`${shell} that ${how} completes at a terminal when TAB is pressed`, async function () {
      needs(this, shell);
      const socket = join(folder, 'sock');
      copyFileSync(scriptOf(shell, commandTree(sampleProgram())), join(folder, '_dvipa'));
      const said = await typeInto(start, [load.replace('FOLDER', folder)], {
        env: environment(),
        lines: [
          'dvipa la\tex\t',
          `dvipa trace --socket ${socket} be\tc0\t`,
          `dvipa trace --dv\t1 --socket ${socket} after 00\t`,
          `dvipa drain --socket ${socket} target3\t`,
          `dvipa trace --socket ${socket} --dvipa 2001\t`,
        ],
      });
      expect(said.filter((line) => line.startsWith('called:')).map((line) => line.trimEnd())).to.deep.equal([
        'called: lab exec',
        `called: trace --socket ${socket} before c0ffee01`,
        `called: trace --dvipa 1 --socket ${socket} after 0000abcd`,
        `called: drain --socket ${socket} target3`,
        `called: trace --socket ${socket} --dvipa 2001:db8::10`,
      ]);
    });
  }

  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    it(`${shell} finds no fault in the script of the whole program`, function () {
      needs(this, shell);
      const result = spawnSync(shell, ['-n', scriptOf(shell, whole)], { encoding: 'utf8' });
      expect(result).to.include({ status: 0, stderr: '' });
    });
  }
});
