import { type CommandEntry, everyCommand, type OptionEntry, type ValueEntry } from '../command-tree.ts';
import { isRunningKind } from '../values.ts';
import { commandNames, firstLine, keyOf, valuedFlags } from './script-data.ts';

/** A script for fish 3. */
export function fishScript(program: CommandEntry): string {
  const commands = everyCommand(program);
  const names = commands.slice(1).map(({ path }) => fishQuoted(keyOf(path)));
  const valued = valuedFlags(program).map(({ key }) => fishQuoted(key));
  return `# fish completion for dvipa, made by: dvipa completion fish

set -g __dvipa_commands ${names.join(' ')}
set -g __dvipa_valued ${valued.join(' ')}

# Whether the command line is in this command, and in this place of its arguments, counted from 0: __dvipa_at ' lab exec' 0
function __dvipa_at --argument-names command place
    set -l tokens (commandline -opc)
    set -l here ''
    set -l count 0
    set -l skip no
    for token in $tokens[2..-1]
        if test $skip = yes
            set skip no
        else if string match -q -- '-*' $token
            if contains -- "$here $token" $__dvipa_valued
                set skip yes
            end
        else if test $count = 0; and contains -- "$here $token" $__dvipa_commands
            set here "$here $token"
        else
            set count (math $count + 1)
        end
    end
    test "$here" = "$command"; or return 1
    switch "$place"
        case ''
            return 0
        case '*+'
            test $count -ge (string replace + '' -- $place)
        case '*'
            test $count = $place
    end
end

complete -c dvipa -f
${commands.flatMap((command) => linesOf(command, program)).join('\n')}
`;
}

function linesOf(command: CommandEntry, program: CommandEntry): string[] {
  const key = keyOf(command.path);
  const options = command.options.map((option) => optionLine(key, option, program));
  const subcommands = command.subcommands.map(({ path, summary }) =>
    lineOf(key, '0', `-a ${path.at(-1)} -d ${fishQuoted(firstLine(summary))}`),
  );
  const places = command.subcommands.length > 0 ? [] : command.arguments;
  return [
    ...options,
    ...subcommands,
    ...places.flatMap((argument, place) => {
      const at = argument.isVariadic ? `${place}+` : String(place);
      const skipped = 1 + command.path.length + place;
      const offer =
        argument.kind === 'command-line'
          ? `-a '(__fish_complete_subcommand --fcs-skip=${skipped})'`
          : offerOf(argument, program);
      return offer === '' ? [] : [lineOf(key, at, offer)];
    }),
  ];
}

function optionLine(key: string, { flags, description, value }: OptionEntry, program: CommandEntry): string {
  const spellings = flags.map((flag) =>
    flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
  );
  // Without -x fish offers files beside all else.
  const offer =
    value === undefined
      ? []
      : [value.kind === 'file' ? '-r' : '-x', offerOf(value, program)].filter((part) => part !== '');
  return lineOf(key, '', [...spellings, ...offer, `-d ${fishQuoted(firstLine(description))}`].join(' '));
}

function lineOf(key: string, place: string, rest: string): string {
  const condition = `__dvipa_at "${key}"${place === '' ? '' : ` ${place}`}`;
  return `complete -c dvipa -n ${fishQuoted(condition)} ${rest}`;
}

function offerOf({ kind, choices }: ValueEntry, program: CommandEntry): string {
  if (choices.length > 0) return `-a ${fishQuoted(choices.join(' '))}`;
  if (kind === 'file') return '-F';
  if (kind === 'folder') return `-a '(__fish_complete_directories (commandline -ct))'`;
  if (kind === 'command-name') return `-a ${fishQuoted(commandNames(program).join(' '))}`;
  if (kind === undefined || !isRunningKind(kind)) return '';
  return `-a '(dvipa __complete ${kind} -- (commandline -opc)[2..-1] 2>/dev/null)'`;
}

/** In fish a backslash escapes itself and the quote, also between single quotes. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
