import type { Command } from 'commander';

/** A command line, and what it is for. */
export type Example = readonly [line: string, purpose: string];

/** Kept at the command itself: who asks may have loaded this file apart from who told. */
const EXAMPLES = Symbol.for('dvipa.examples');
type Kept = { [EXAMPLES]?: readonly Example[] };

/** Adds examples to a command's help; man page and reference show them too. */
export function withExamples(command: Command, ...examples: readonly Example[]): Command {
  (command as Kept)[EXAMPLES] = examples;
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, purpose]) => `  ${line.padEnd(width)}  ${purpose}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

export function examplesOf(command: Command): readonly Example[] {
  return (command as Kept)[EXAMPLES] ?? [];
}
