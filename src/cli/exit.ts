/** What `dvipa` exits with; documented in `dvipa --help` and docs/cli.md. */
export const EXIT = {
  OK: 0,
  /** The command failed, or the agent ended by a fault. */
  ERROR: 1,
  /** The command line is wrong. */
  USAGE: 2,
  /** No agent answers on the admin socket. */
  UNREACHABLE: 3,
  /** What was waited for has not come in its time. */
  TIME_OUT: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with one line on standard error and this exit code. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.ERROR) {
    super(message);
    this.exitCode = exitCode;
  }
}
