import {
  type ArgumentEntry,
  type CommandEntry,
  everyCommand,
  type OptionEntry,
  type ValueEntry,
} from '../command-tree.ts';
import { isRunningKind } from '../values.ts';
import { commandNames, firstLine, quoted } from './script-data.ts';

/** A script for zsh, to be sourced after compinit or put into `fpath` as `_dvipa`. */
export function zshScript(program: CommandEntry): string {
  const commands = everyCommand(program);
  return `#compdef dvipa
# zsh completion for dvipa, made by: dvipa completion zsh

# Asks a running agent, or the lab, which values there are.
_dvipa_ask() {
  local line value
  local -a found
  for line in \${(f)"$(dvipa __complete $1 -- $words[2,-1] 2>/dev/null)"}; do
    value=\${line%%$'\\t'*}
    found+=("\${value//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe -t $1 $1 found
}

${commands.map((command) => functionOf(command, program)).join('\n\n')}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _dvipa "$@"
else
  compdef _dvipa dvipa
fi
`;
}

function functionOf(command: CommandEntry, program: CommandEntry): string {
  const specs = command.options.map((option) => optionSpec(option, program));
  if (command.subcommands.length === 0) {
    const places = command.arguments.map((argument, at) => placeSpec(argument, at, program));
    return `${nameOf(command)}() {\n  _arguments -S${[...specs, ...places].map(onOwnLine).join('')}\n}`;
  }
  const described = command.subcommands.map(
    ({ path, summary }) => `    ${quoted(`${path.at(-1)}:${firstLine(summary)}`)}`,
  );
  const calls = command.subcommands.map((sub) => `        ${sub.path.at(-1)}) ${nameOf(sub)} ;;`);
  const states = ["'1: :->command'", "'*:: :->arguments'"];
  return `${nameOf(command)}() {
  local curcontext=$curcontext state line
  local -a commands
  commands=(
${described.join('\n')}
  )
  _arguments -C${[...specs, ...states].map(onOwnLine).join('')}
  case $state in
    command) _describe -t commands ${quoted(`${['dvipa', ...command.path].join(' ')} command`)} commands ;;
    arguments)
      case $line[1] in
${calls.join('\n')}
      esac
      ;;
  esac
}`;
}

function nameOf({ path }: CommandEntry): string {
  return ['_dvipa', ...path].join('_');
}

function onOwnLine(spec: string): string {
  return ` \\\n    ${spec}`;
}

function optionSpec({ flags, description, value }: OptionEntry, program: CommandEntry): string {
  const meaning = `[${escaped(firstLine(description))}]`;
  const after = value === undefined ? '' : `:${escaped(value.name)}:${actionOf(value, program)}`;
  // One of two spellings is enough.
  return flags.length === 1
    ? quoted(`${flags[0]}${meaning}${after}`)
    : `${quoted(`(${flags.join(' ')})`)}{${flags.join(',')}}${quoted(meaning + after)}`;
}

function placeSpec(argument: ArgumentEntry, at: number, program: CommandEntry): string {
  const name = escaped(argument.name);
  if (argument.kind === 'command-line') return quoted(`*::${name}:_normal`);
  return quoted(`${argument.isVariadic ? '*' : at + 1}:${name}:${actionOf(argument, program)}`);
}

function actionOf({ kind, choices }: ValueEntry, program: CommandEntry): string {
  if (choices.length > 0) return `(${choices.join(' ')})`;
  if (kind === 'file') return '_files';
  if (kind === 'folder') return '_files -/';
  if (kind === 'command-name') return `(${commandNames(program).join(' ')})`;
  // With a space in front zsh adds no arguments of its own.
  return kind !== undefined && isRunningKind(kind) ? ` _dvipa_ask ${kind}` : '';
}

/** `_arguments` reads brackets and colons itself. */
function escaped(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, String.raw`\$&`);
}
