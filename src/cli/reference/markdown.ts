import { type CommandEntry, everyCommand } from '../command-tree.ts';

/** The commands, as docs/cli.md has them. */
export function markdownOfCommands(program: CommandEntry): string {
  return everyCommand(program).slice(1).map(entryOf).join('\n\n');
}

function entryOf({ path, usage, description, arguments: places, options, examples }: CommandEntry): string {
  const rows = [
    ...places.map((place) => row(`<${place.name}>`, place.description)),
    ...options
      .filter(({ flags }) => !flags.includes('--help'))
      .map((option) => row(option.usage, option.description)),
  ];
  const width = Math.max(...examples.map(([line]) => line.length));
  return [
    `### ${['dvipa', ...path].join(' ')}`,
    `\`${usage}\`: ${description}`,
    ...(rows.length === 0 ? [] : [['| | |', '|---|---|', ...rows].join('\n')]),
    ...(examples.length === 0
      ? []
      : [examples.map(([line, purpose]) => `    ${line.padEnd(width)}  # ${purpose}`).join('\n')]),
  ].join('\n\n');
}

function row(term: string, meaning: string): string {
  const cell = (text: string) => text.replaceAll('|', String.raw`\|`);
  return `| \`${cell(term)}\` | ${cell(meaning).replaceAll('<', '&lt;')} |`;
}
