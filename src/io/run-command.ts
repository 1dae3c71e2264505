import { execFile } from 'node:child_process';

/** A command of the host that failed: `message` has its own words. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code = 'ERR_DVIPA_COMMAND';
  readonly stderr: string;

  constructor(command: string, stderr: string, cause: unknown) {
    super(`${command}: ${stderr.trim() || (cause instanceof Error ? cause.message : String(cause))}`, {
      cause,
    });
    this.stderr = stderr;
  }
}

export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Runs a program without a shell and resolves with its standard output; rejects with a `CommandError`. */
export function runCommand(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      {
        timeout: options.timeoutMs ?? 10_000,
        killSignal: 'SIGKILL',
        maxBuffer: 4 * 1024 * 1024,
        // Messages that we match are the untranslated ones; sbin is not in everybody's PATH.
        env: { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
      },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new CommandError([file, ...args].join(' '), stderr, error));
      },
    );
    // A program that ends before it has read everything says why on its standard error.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}
