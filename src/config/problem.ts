import { printable } from './printable.ts';

/** One thing that is wrong with a configuration file. `line` and `column` count from 1; 0 = the file as a whole. */
export interface ConfigProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Keys joined with dots, list positions from 0: `dvipas.0.distribution`. Empty: the whole document. */
  readonly path: string;
  /** What is wrong and what was expected. */
  readonly message: string;
}

/** `file:line:column: path: message`, the form that editors jump to; one line that no terminal obeys. */
export function formatProblem(problem: ConfigProblem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  const parts = [place, problem.path, problem.message].filter((part) => part !== '');
  return printable(parts.join(': '));
}

/** A list longer than a screen or two helps nobody. */
const MAX_PROBLEMS = 50;

/** Everything that is wrong with a configuration, in the order of the file; the only error that loading throws. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    // A value that is wrong in two ways, of which the message is the same, is told once.
    const each = new Map(problems.map((problem) => [formatProblem(problem), problem]));
    const sorted = [...each].toSorted(([, a], [, b]) => a.line - b.line || a.column - b.column);
    const told = sorted.slice(0, MAX_PROBLEMS);
    super(told.map(([line]) => line).join('\n'));
    this.problems = told.map(([, problem]) => problem);
  }
}
