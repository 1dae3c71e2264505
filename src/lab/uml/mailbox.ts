import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunOptions, RunResult } from '../run.ts';

/**
 * Commands for a guest, as files of a folder that it shares with us:
 *
 *   ID.cmd   what `sh` is to run; appears whole      ID.out, ID.err   what it said
 *   ID.in    its input, if it has any                ID.rc            its status, once it has ended
 */

const POLL_MS = 10;
let lastNumber = 0;

export interface GuestCommand {
  /** Where the files of this command are, without extension. */
  readonly path: string;
  readonly argv: readonly string[];
}

export interface CommandOptions extends Pick<RunOptions, 'cwd' | 'env' | 'input'> {
  /** What it says goes to the end of this file, not to ID.out and ID.err. */
  readonly logFile?: string;
}

/** Hands a command to the guest. Its process will be the only one of its name: `ID.pid` says which. */
export function startCommand(
  folder: string,
  argv: readonly string[],
  options: CommandOptions = {},
): GuestCommand {
  const { cwd, env = {}, input, logFile } = options;
  const path = join(folder, 'commands', `${Date.now().toString(36)}-${process.pid}-${(lastNumber += 1)}`);
  const settings = Object.entries(env).map(([name, value]) => `${name}=${quote(value)}`);
  const lines = [
    ...(logFile === undefined ? [] : [`exec >>${quote(logFile)} 2>&1`]),
    ...(cwd === undefined ? [] : [`cd ${quote(cwd)} || exit 126`]),
    `echo $$ >${quote(`${path}.pid`)}`,
    ['exec', ...(settings.length > 0 ? ['env', ...settings] : []), ...argv.map(quote)].join(' '),
  ];
  if (input !== undefined) writeFileSync(`${path}.in`, input);
  writeFileSync(`${path}.next`, `${lines.join('\n')}\n`);
  renameSync(`${path}.next`, `${path}.cmd`);
  return { path, argv };
}

/** Its exit status, 128 and the signal's number if a signal ended it; undefined while it runs. */
export function statusOf({ path }: GuestCommand): number | undefined {
  const file = `${path}.rc`;
  const text = existsSync(file) ? readFileSync(file, 'latin1') : '';
  return text.endsWith('\n') ? Number(text) : undefined;
}

/** Its process in the guest; undefined until the guest has started it. */
export function pidOf({ path }: GuestCommand): number | undefined {
  const file = `${path}.pid`;
  const text = existsSync(file) ? readFileSync(file, 'latin1') : '';
  return text.endsWith('\n') ? Number(text) : undefined;
}

/**
 * Waits until a command has ended and returns what it said. After `timeoutMs` it is killed. Throws if the guest itself
 * ends meanwhile.
 */
export async function finishCommand(
  folder: string,
  command: GuestCommand,
  { timeoutMs = 60_000, isAlive }: { readonly timeoutMs?: number; readonly isAlive: () => boolean },
): Promise<RunResult> {
  const end = performance.now() + timeoutMs;
  let isKilled = false;
  for (;;) {
    const status = statusOf(command);
    if (status !== undefined) return takeResult(command, status, isKilled);
    if (!isAlive()) throw new Error(`${command.argv.join(' ')}: the guest ended`);
    const pid = pidOf(command);
    if (!isKilled && pid !== undefined && performance.now() > end) {
      isKilled = true;
      startCommand(folder, ['kill', '-KILL', String(pid)]);
    }
    await sleep(POLL_MS);
  }
}

/** Like `finishCommand`, for a terminal: passes on what it says when it says it, and returns its status. */
export async function followCommand(
  command: GuestCommand,
  isAlive: () => boolean,
  tell: (kind: 'out' | 'err', bytes: Buffer) => void,
): Promise<number> {
  const read = { out: 0, err: 0 };
  for (;;) {
    const status = statusOf(command);
    for (const kind of ['out', 'err'] as const) {
      const file = `${command.path}.${kind}`;
      const bytes = existsSync(file) ? readFileSync(file).subarray(read[kind]) : Buffer.alloc(0);
      read[kind] += bytes.length;
      if (bytes.length > 0) tell(kind, bytes);
    }
    if (status !== undefined) {
      takeResult(command, status, false);
      return status;
    }
    if (!isAlive()) throw new Error('the guest ended');
    await sleep(POLL_MS);
  }
}

function takeResult({ path }: GuestCommand, status: number, isKilled: boolean): RunResult {
  const [stdout, stderr] = ['out', 'err'].map((kind) => readFileSync(`${path}.${kind}`, 'utf8'));
  for (const kind of ['cmd', 'in', 'out', 'err', 'pid', 'rc']) rmSync(`${path}.${kind}`, { force: true });
  return {
    status: isKilled ? null : status,
    signal: isKilled ? 'SIGKILL' : null,
    stdout: stdout ?? '',
    stderr: stderr ?? '',
  };
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
