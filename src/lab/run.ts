import { spawn } from 'node:child_process';

export interface RunResult {
  /** Exit status; 128 + signal number is not used, a killed command has status null. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  /** The command is killed after that. Default 120 s. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A command that had to succeed and did not; the message holds what it said. */
export class CommandError extends Error {
  readonly code = 'lab-command-failed';
  readonly result: RunResult;

  constructor(argv: readonly string[], result: RunResult) {
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-8).join('\n');
    super(
      `${argv.join(' ')}: ${result.signal ?? `status ${result.status}`}${said === '' ? '' : `: ${said}`}`,
    );
    this.name = 'CommandError';
    this.result = result;
  }
}

/** Runs a command to its end and returns what it said; rejects only if it cannot be started. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [command, ...rest] = argv;
  if (command === undefined) throw new TypeError('run: empty command');
  return new Promise((resolve, reject) => {
    const child = spawn(command, rest, {
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: options.cwd,
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    // A command that ends without reading its input is no fault.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input);
    child.once('error', (cause) => {
      clearTimeout(timer);
      reject(new Error(`cannot start ${command}`, { cause }));
    });
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      resolve({
        status,
        signal,
        stdout: Buffer.concat(out).toString('utf8'),
        stderr: Buffer.concat(err).toString('utf8'),
      });
    });
  });
}

/** Like {@link run}, for commands that must succeed: returns standard output, throws {@link CommandError}. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(argv, options);
  if (result.status !== 0) throw new CommandError(argv, result);
  return result.stdout;
}
