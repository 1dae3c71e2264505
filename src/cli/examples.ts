import type { Command } from 'commander';

/** A command line, and what it is for. */
export type Example = readonly [line: string, purpose: string];

const examples = new WeakMap<Command, readonly Example[]>();

/** Adds examples to a command's help; man page and reference show them too. */
export function withExamples(command: Command, ...added: readonly Example[]): Command {
  examples.set(command, added);
  const width = Math.max(...added.map(([line]) => line.length));
  const lines = added.map(([line, purpose]) => `  ${line.padEnd(width)}  ${purpose}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

export function examplesOf(command: Command): readonly Example[] {
  return examples.get(command) ?? [];
}
