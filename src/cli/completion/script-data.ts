import { type CommandEntry, everyCommand, type ValueEntry } from '../command-tree.ts';

/** What the shells' scripts have in common. */

/** A path as the scripts keep it: empty for the program itself, else ` pki issue`, with a space before each word. */
export function keyOf(path: readonly string[]): string {
  return path.map((word) => ` ${word}`).join('');
}

/** The commands that a word can name after `help`, and in place of the first argument. */
export function commandNames(entry: CommandEntry): string[] {
  return entry.subcommands.map(({ path }) => path.at(-1) ?? '');
}

/** Every option with a value, as key of its command and flag: ` route --config`. */
export function valuedFlags(program: CommandEntry): { readonly key: string; readonly value: ValueEntry }[] {
  return everyCommand(program).flatMap(({ path, options }) =>
    options.flatMap(({ flags, value }) =>
      value === undefined ? [] : flags.map((flag) => ({ key: `${keyOf(path)} ${flag}`, value })),
    ),
  );
}

/** Text between single quotes of a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** One line, for what does not fit is cut by the terminal. */
export function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
