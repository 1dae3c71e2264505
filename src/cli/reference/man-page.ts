import { type CommandEntry, everyCommand } from '../command-tree.ts';
import { scdocText } from './scdoc.ts';

/** The commands, as the section COMMANDS of dvipa(1) has them, in scdoc's language. */
export function manOfCommands(program: CommandEntry): string {
  return everyCommand(program).slice(1).map(entryOf).join('\n');
}

function entryOf({ usage, description, arguments: places, options, examples }: CommandEntry): string {
  return [
    `${usageOf(usage)}\n\t${scdocText(description)}\n`,
    ...places.map((place) => definition(`_${scdocText(place.name)}_`, place.description)),
    ...options
      .filter(({ flags }) => !flags.includes('--help'))
      .map((option) => definition(optionOf(option.usage), option.description)),
    examples.length === 0 ? '' : '\tExamples:\n',
    ...examples.map(([line, purpose]) => definition(`*${scdocText(line)}*`, purpose)),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function definition(term: string, meaning: string): string {
  return `\t${term}\n\t\t${scdocText(meaning)}\n`;
}

/** `dvipa pki issue [options] <host>`: what is typed as it is in bold. */
function usageOf(usage: string): string {
  const words = usage.split(' ');
  const at = words.findIndex((word) => /^[[<]/.test(word));
  const count = at === -1 ? words.length : at;
  const bold = `*${scdocText(words.slice(0, count).join(' '))}*`;
  return [bold, ...words.slice(count).map(scdocText)].join(' ');
}

/** `-c, --config <file>` */
function optionOf(usage: string): string {
  return usage.replaceAll(/[^\s,]+/g, (word) =>
    word.startsWith('-') ? `*${scdocText(word)}*` : scdocText(word),
  );
}
