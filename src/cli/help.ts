import { Command } from 'commander';
import { withExamples } from './examples.ts';
import { CommandError, EXIT } from './exit.ts';

/** `dvipa help pki issue` is `dvipa pki issue --help`. commander's own goes one command deep only. */
export function helpCommand(): Command {
  const command = new Command('help')
    .description('show the help of a command')
    .argument('[command...]', 'the command, and what of it')
    .action((words: readonly string[], _options: unknown, self: Command) => {
      let about = self.parent ?? self;
      for (const word of words) {
        const next = about.commands.find((sub) => sub.name() === word);
        if (next === undefined) throw new CommandError(`unknown command '${words.join(' ')}'`, EXIT.USAGE);
        about = next;
      }
      about.help();
    });
  return withExamples(
    command,
    ['dvipa help', 'what there is'],
    ['dvipa help pki issue', 'how one of them is called'],
  );
}
