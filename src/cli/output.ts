import { type Command, Option } from 'commander';
import { type Style, styleFor } from '../observe/views/style.ts';

/** How a command's answer is to be printed; none of them: for people. */
export interface OutputOptions {
  readonly json?: true;
  readonly raw?: true;
  readonly pretty?: true;
}

/** Adds `--json`, and for lists `--raw` and `--pretty`, the forms of swanctl. */
export function withOutputOptions(command: Command, kind: 'list' | 'answer'): Command {
  const others = kind === 'list' ? ['raw', 'pretty'] : [];
  command.addOption(new Option('--json', 'print JSON (docs/cli-json.md)').conflicts(others));
  if (kind === 'answer') return command;
  return command
    .addOption(
      new Option('--raw', 'print one line in the form of swanctl --raw').conflicts(['json', 'pretty']),
    )
    .addOption(
      new Option('--pretty', 'the same on lines of their own, as swanctl --pretty').conflicts([
        'json',
        'raw',
      ]),
    );
}

/** Prints an answer: as a view for people, or as it came. `label` names it in the forms of swanctl. */
export async function printAnswer<Answer>(
  label: string,
  answer: Answer,
  options: OutputOptions,
  render: (answer: Answer, style: Style) => string,
): Promise<void> {
  process.stdout.write(await textOf(label, answer, options, render));
}

async function textOf<Answer>(
  label: string,
  answer: Answer,
  options: OutputOptions,
  render: (answer: Answer, style: Style) => string,
): Promise<string> {
  if (options.json) return `${JSON.stringify(answer, null, 2)}\n`;
  if (options.raw || options.pretty) {
    const { renderDump } = await import('../observe/views/dump.ts');
    return renderDump(label, answer, options.pretty === true);
  }
  return render(answer, styleFor(process.stdout.isTTY, process.env));
}
