import { expect } from 'chai';
import type { Command } from 'commander';
import { type CommandEntry, commandTree, everyCommand } from '../../src/cli/command-tree.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { dvipa } from './run-cli.ts';

/** Parses a command line as the program does, and does nothing. */
async function parse(line: readonly string[]): Promise<void> {
  const program = buildProgram();
  const calm = (command: Command): void => {
    command.action(() => {}).configureOutput({ writeErr: () => {}, writeOut: () => {} });
    for (const sub of command.commands) calm(sub);
  };
  calm(program);
  await program.parseAsync(line, { from: 'user' });
}

/** Words of the first `dvipa ...` in a line of a shell, up to a pipe or a redirection. */
function wordsOf(line: string): string[] {
  const [, words = ''] = /\bdvipa ([^|>]*)/.exec(line) ?? [];
  return words.trim().split(/\s+/);
}

describe('dvipa help', function () {
  this.timeout(30_000);
  let commands: readonly CommandEntry[] = [];
  const nameOf = ({ path }: CommandEntry) => ['dvipa', ...path].join(' ');

  before(async () => {
    commands = everyCommand(commandTree(buildProgram()));
    expect(commands).to.have.lengthOf.above(15);
  });

  it('every command, option and argument says what it is for', () => {
    const silent = commands.flatMap((command) => [
      ...(command.description === '' ? [nameOf(command)] : []),
      ...[...command.arguments, ...command.options]
        .filter(({ description }) => description === '')
        .map((part) => `${nameOf(command)} ${'usage' in part ? part.usage : part.name}`),
    ]);
    expect(silent).to.deep.equal([]);
  });

  it('every command has a heading in the help of the program', () => {
    const without = commands.filter(({ path, group }) => path.length === 1 && group === '');
    expect(without.map(nameOf)).to.deep.equal([]);
  });

  it('every command has examples, of this very command', () => {
    const without = commands.filter((command) => {
      const own = command.examples.filter(
        ([line]) => command.path.length === 0 || line.includes(nameOf(command)) || command.path[0] === 'help',
      );
      return own.length === 0;
    });
    expect(without.map(nameOf), 'withExamples (src/cli/examples.ts)').to.deep.equal([]);
  });

  it('every example is a command line that dvipa takes', async () => {
    for (const command of commands) {
      for (const [line] of command.examples) {
        const error = await parse(wordsOf(line)).catch((error: Error) => error);
        expect(error, line).to.equal(undefined);
      }
    }
  });

  it('help ends with the exit codes and has no colours where there is no terminal', async () => {
    for (const { stdout } of await Promise.all([dvipa('--help'), dvipa('sas', '--help')])) {
      expect(stdout.trimEnd()).to.match(
        /Exit codes: 0 done, 1 failed, 2 wrong command line, 3 no agent reachable, 4 not done in time\.$/,
      );
      expect(stdout).not.to.contain('\u001b');
    }
  });

  it('dvipa help COMMAND is the help of that command, however deep', async () => {
    const [help, option] = await Promise.all([
      dvipa('help', 'pki', 'issue'),
      dvipa('pki', 'issue', '--help'),
    ]);
    expect(help).to.deep.equal(option);
    expect(help.stdout).to.match(/^Usage: dvipa pki issue \[options\] <host>\n/);
    expect(await dvipa('help', 'pki', 'isue')).to.include({ code: 2, stdout: '' });
  });

  it('a command that is not there is answered with the nearest that is, exit 2', async () => {
    const [top, below] = await Promise.all([dvipa('statsu'), dvipa('pki', 'isue')]);
    expect(top).to.include({ code: 2, stdout: '' });
    expect(top.stderr).to.equal("error: unknown command 'statsu'\n(Did you mean status?)\n");
    expect(below).to.include({ code: 2, stdout: '' });
    expect(below.stderr).to.equal("error: unknown command 'isue'\n(Did you mean issue?)\n");
  });
});
