import { type CommandEntry, everyCommand, type ValueEntry } from '../command-tree.ts';
import { isRunningKind } from '../values.ts';
import { commandNames, keyOf, quoted, valuedFlags } from './script-data.ts';

/** A script for bash 4.2 or newer. It needs nothing but bash itself; bash-completion loads it by its name. */
export function bashScript(program: CommandEntry): string {
  const commands = everyCommand(program);
  const names = commands.slice(1).map(({ path }) => quoted(keyOf(path)));
  const values = valuedFlags(program).map(({ key, value }) => oneCase([key], offerOf(value, program)));
  const options = commands.map(({ path, options }) =>
    oneCase([keyOf(path)], `words ${options.flatMap(({ flags }) => flags).join(' ')}`),
  );
  const places = commands.flatMap((command) => placesOf(command, program));
  return `${HEAD}
# What stands for a command: _dvipa_is_command ' pki issue'
_dvipa_is_command() {
  case $1 in
    ${names.join(' | \\\n    ')}) return 0 ;;
  esac
  return 1
}

# What can follow an option: _dvipa_of_option ' route --config'
_dvipa_of_option() {
  case $1 in
${values.join('\n')}
    *) return 1 ;;
  esac
}

# The options of a command: _dvipa_options ' route'
_dvipa_options() {
  case $1 in
${options.join('\n')}
  esac
}

# What can stand in a place of a command, counted from 0: _dvipa_of_place ' lab exec:0'
_dvipa_of_place() {
  case $1 in
${places.join('\n')}
  esac
}
${TAIL}`;
}

function placesOf(command: CommandEntry, program: CommandEntry): string[] {
  const key = keyOf(command.path);
  if (command.subcommands.length > 0) {
    return [oneCase([`${key}:0`], `words ${commandNames(command).join(' ')}`)];
  }
  return command.arguments.map((argument, place) =>
    argument.isVariadic
      ? `    ${quoted(`${key}:`)}*) offer=${quoted(offerOf(argument, program))} ;;`
      : oneCase([`${key}:${place}`], offerOf(argument, program)),
  );
}

function oneCase(keys: readonly string[], offer: string): string {
  return `    ${keys.map(quoted).join(' | ')}) offer=${quoted(offer)} ;;`;
}

function offerOf({ kind, choices }: ValueEntry, program: CommandEntry): string {
  if (choices.length > 0) return `words ${choices.join(' ')}`;
  if (kind === 'command-name') return `words ${commandNames(program).join(' ')}`;
  return kind !== undefined && isRunningKind(kind) ? `ask ${kind}` : (kind ?? 'free');
}

const HEAD = `# bash completion for dvipa, made by: dvipa completion bash
`;

const TAIL = `
_dvipa() {
  local line=\${COMP_LINE:0:COMP_POINT} words=() word cur path='' place=0 option='' ended='' offer=''
  COMPREPLY=()
  # Not COMP_WORDS: bash cuts those at the colons of an IPv6 address and at the = of an option.
  read -a words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  cur=\${words[\${#words[@]} - 1]}
  for word in "\${words[@]:1:\${#words[@]} - 2}"; do
    if [[ -n $option ]]; then
      option=''
    elif [[ -z $ended && $word == -- ]]; then
      ended=1
    elif [[ -z $ended && $word == -?* ]]; then
      if [[ $word != *=* ]] && _dvipa_of_option "$path $word"; then option=$word; fi
    elif [[ $place == 0 ]] && _dvipa_is_command "$path $word"; then
      path+=" $word"
    else
      place=$((place + 1))
    fi
  done
  if [[ -z $ended && -z $option && $cur == --*=* ]]; then
    option=\${cur%%=*} cur=\${cur#*=}
  fi
  offer=''
  if [[ -n $option ]]; then
    _dvipa_of_option "$path $option"
  elif [[ -z $ended && $cur == -* ]]; then
    _dvipa_options "$path"
  else
    _dvipa_of_place "$path:$place"
  fi
  case $offer in
    'words '*) _dvipa_reply "$cur" \${offer#words } ;;
    'ask '*) _dvipa_reply "$cur" $("\${words[0]}" __complete "\${offer#ask }" -- "\${words[@]:1}" 2>/dev/null | cut -f 1) ;;
    command-line) _dvipa_command_line "$cur" ;;
    file | folder)
      local flag=-f
      [[ $offer == folder ]] && flag=-d
      mapfile -t COMPREPLY < <(compgen $flag -- "$cur")
      compopt -o filenames 2>/dev/null
      ;;
  esac
}

# _dvipa_reply TYPED WORD...: those that begin as typed, less what bash thinks is another word already.
_dvipa_reply() {
  local typed=$1 known=\${1%"\${1##*[:=]}"}
  shift
  [[ $COMP_WORDBREAKS == *:* ]] || known=''
  mapfile -t COMPREPLY < <(compgen -W "$*" -- "$typed")
  COMPREPLY=("\${COMPREPLY[@]#"$known"}")
}

# A command of the system, then files: what it takes itself is known where it runs only.
_dvipa_command_line() {
  if [[ $place == 1 ]]; then
    mapfile -t COMPREPLY < <(compgen -c -- "$1")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
    compopt -o filenames 2>/dev/null
  fi
}

complete -F _dvipa dvipa
`;
