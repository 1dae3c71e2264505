import { Argument, Command } from 'commander';
import { DEFAULT_SOCKETS } from './ask.ts';
import { withExamples } from './examples.ts';
import { isRunningKind, RUNNING_KINDS } from './values.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** `dvipa completion`: made from the commands themselves, so that no script can be older than the program. */
export function completionCommand(wholeProgram: () => Command): Command {
  const command = new Command('completion')
    .description('print a script that completes command lines of dvipa in a shell')
    .addArgument(new Argument('<shell>', 'for which shell').choices(SHELLS))
    .action(async (shell: Shell) => {
      const { commandTree } = await import('./command-tree.ts');
      process.stdout.write((await generatorOf(shell))(commandTree(wholeProgram())));
    });
  return withExamples(
    command,
    ['dvipa completion bash > /etc/bash_completion.d/dvipa', 'for all users of bash'],
    ["dvipa completion zsh > '/usr/share/zsh/site-functions/_dvipa'", 'of zsh'],
    ['dvipa completion fish > /etc/fish/completions/dvipa.fish', 'of fish'],
  );
}

/** What the scripts call for values that only an agent knows: one a line, with a tab and a word about it. Never fails. */
export function runningValuesCommand(): Command {
  return new Command('__complete')
    .addArgument(new Argument('<kind>').choices(RUNNING_KINDS))
    .argument('[words...]', 'the command line so far')
    .action(async (kind: string, words: readonly string[]) => {
      const { runningValues } = await import('./completion/running-values.ts');
      if (!isRunningKind(kind)) return;
      const socket = socketIn(words);
      const values = await runningValues(kind, socket === undefined ? DEFAULT_SOCKETS : [socket]);
      process.stdout.write(values.map((value) => `${value.join('\t')}\n`).join(''));
    });
}

/** The value of `--socket` on a command line that is not finished. */
function socketIn(words: readonly string[]): string | undefined {
  const at = words.indexOf('--socket');
  if (at !== -1) return words[at + 1];
  return words.find((word) => word.startsWith('--socket='))?.slice('--socket='.length);
}

async function generatorOf(shell: Shell) {
  switch (shell) {
    case 'bash':
      return (await import('./completion/bash.ts')).bashScript;
    case 'zsh':
      return (await import('./completion/zsh.ts')).zshScript;
    case 'fish':
      return (await import('./completion/fish.ts')).fishScript;
  }
}
