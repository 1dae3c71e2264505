import type { Argument, Command, Option } from 'commander';
import { type Example, examplesOf } from './examples.ts';
import { type ValueKind, valueKind } from './values.ts';

/** What completion, man page and reference are made from: the commands as commander knows them, hidden ones left out. */
export interface CommandEntry {
  /** Without the program's name: `['pki', 'issue']`; empty for the program itself. */
  readonly path: readonly string[];
  /** Heading under which the help of the parent lists it. */
  readonly group: string;
  readonly description: string;
  /** As the parent's help has it: shorter, where there is a shorter one. */
  readonly summary: string;
  /** As in the first line of its help. */
  readonly usage: string;
  readonly arguments: readonly ArgumentEntry[];
  readonly options: readonly OptionEntry[];
  readonly examples: readonly Example[];
  readonly subcommands: readonly CommandEntry[];
}

export interface ValueEntry {
  /** Between the brackets of the usage. */
  readonly name: string;
  /** Undefined: `src/cli/values.ts` does not know the name. */
  readonly kind: ValueKind | undefined;
  /** All there are, if they are few. */
  readonly choices: readonly string[];
}

export interface ArgumentEntry extends ValueEntry {
  /** With choices and default, as in the help. */
  readonly description: string;
  readonly isVariadic: boolean;
}

export interface OptionEntry {
  /** As in the help: `-c, --config <file>`. */
  readonly usage: string;
  /** `-c`, `--config`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Undefined: the option takes none. */
  readonly value: ValueEntry | undefined;
}

export function commandTree(command: Command, path: readonly string[] = []): CommandEntry {
  const help = command.createHelp();
  // Each group has a `help` of its own from commander; `dvipa help` does it for all.
  const visible = help.visibleCommands(command).filter((sub) => sub.name() !== 'help' || path.length === 0);
  return {
    path,
    group: command.helpGroup(),
    description: command.description(),
    summary: help.subcommandDescription(command),
    usage: help.commandUsage(command),
    arguments: command.registeredArguments.map((argument) => ({
      ...valueOf(argument.name(), argument),
      description: help.argumentDescription(argument),
      isVariadic: argument.variadic,
    })),
    options: help.visibleOptions(command).map((option) => ({
      usage: option.flags,
      flags: [option.short, option.long].filter((flag) => flag !== undefined),
      description: help.optionDescription(option),
      value:
        option.required || option.optional ? valueOf(placeholderOf(option), option, option.long) : undefined,
    })),
    examples: examplesOf(command),
    subcommands: visible.map((sub) => commandTree(sub, [...path, sub.name()])),
  };
}

/** The entry and all below it, parents first. */
export function everyCommand(entry: CommandEntry): CommandEntry[] {
  return [entry, ...entry.subcommands.flatMap(everyCommand)];
}

function valueOf(name: string, { argChoices }: Option | Argument, option?: string): ValueEntry {
  return { name, kind: valueKind(name, option), choices: argChoices ?? [] };
}

function placeholderOf(option: Option): string {
  return /[<[](.+?)(?:\.\.\.)?[>\]]/.exec(option.flags)?.[1] ?? '';
}
