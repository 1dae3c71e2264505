import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { HostRecord, Ledger } from './ledger.ts';
import { endProcess, isRunning, type ProcessRecord, signalProcess, startTimeOf } from './process.ts';
import { CommandError, run, type RunOptions, type RunResult } from './run.ts';
import { waitFor } from './wait-for.ts';

/** Mounts the pairs before `--`, then becomes the command after it. Runs in a mount namespace of its own. */
const ENTER = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 125; shift 2; done; shift; exec "$@"';

/** The command line that runs `argv` inside a host: its network namespace and its own /run, /etc/swanctl, ... */
export function enterHost(host: HostRecord, argv: readonly string[]): string[] {
  // `ip netns exec` makes a mount namespace of its own, whose mounts do not come back to the machine's.
  return [
    'ip',
    'netns',
    'exec',
    host.namespace,
    'sh',
    '-c',
    ENTER,
    'enter',
    ...host.mounts.flat(),
    '--',
    ...argv,
  ];
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** See `group` of {@link ProcessRecord}. */
  readonly group?: string;
}

/** A process that the lab keeps running in a host, apart from the life of the program that started it. */
export interface LabProcess {
  readonly host: string;
  readonly name: string;
  /** As its host numbers it. */
  readonly pid: number;
  readonly logFile: string;
  isRunning(): boolean;
  /** Sends a signal; with SIGKILL it also waits until the process is gone. False if it was gone already. */
  kill(signal: NodeJS.Signals): Promise<boolean>;
  /** Ends the process properly (SIGTERM), or by force after a while. */
  stop(graceMs?: number): Promise<void>;
}

/** One host of the lab. */
export abstract class Host {
  readonly name: string;
  readonly #logs: string;

  constructor(name: string, logs: string) {
    this.name = name;
    this.#logs = logs;
  }

  /** Where a process of this host that the lab calls `name` writes. */
  logFile(name: string): string {
    return join(this.#logs, `${this.name}-${name}.log`);
  }

  /** Runs a command in the host to its end. */
  abstract exec(argv: readonly string[], options?: RunOptions): Promise<RunResult>;

  /** Like `exec`, for a command that must succeed; returns its standard output. */
  async must(argv: readonly string[], options?: RunOptions): Promise<string> {
    const result = await this.exec(argv, options);
    if (result.status !== 0) throw new CommandError([`${this.name}:`, ...argv], result);
    return result.stdout;
  }

  /** Starts a process that goes on after us; its output is appended to `logFile(name)`. */
  abstract spawn(name: string, argv: readonly string[], options?: SpawnOptions): LabProcess;
}

class NamespaceProcess implements LabProcess {
  readonly logFile: string;
  readonly #record: ProcessRecord;
  readonly #ledger: Ledger;

  constructor(record: ProcessRecord, logFile: string, ledger: Ledger) {
    this.logFile = logFile;
    this.#record = record;
    this.#ledger = ledger;
  }

  get host(): string {
    return this.#record.host;
  }

  get name(): string {
    return this.#record.name;
  }

  get pid(): number {
    return this.#record.pid;
  }

  isRunning(): boolean {
    return isRunning(this.#record);
  }

  async kill(signal: NodeJS.Signals): Promise<boolean> {
    const sent = signalProcess(this.#record, signal);
    if (signal === 'SIGKILL') {
      await waitFor(`end of ${this.name}`, () => !this.isRunning());
      this.#ledger.dropProcess(this.#record);
    }
    return sent;
  }

  async stop(graceMs?: number): Promise<void> {
    await endProcess(this.#record, graceMs);
    this.#ledger.dropProcess(this.#record);
  }
}

/** A host that is a network namespace of this machine. */
export class NamespaceHost extends Host {
  readonly #record: HostRecord;
  readonly #ledger: Ledger;

  constructor(record: HostRecord, ledger: Ledger, logs: string) {
    super(record.name, logs);
    this.#record = record;
    this.#ledger = ledger;
  }

  exec(argv: readonly string[], options?: RunOptions): Promise<RunResult> {
    return run(enterHost(this.#record, argv), options);
  }

  spawn(name: string, argv: readonly string[], options: SpawnOptions = {}): LabProcess {
    const logFile = this.logFile(name);
    mkdirSync(join(logFile, '..'), { recursive: true });
    const log = openSync(logFile, 'a', 0o600);
    const [command = '', ...rest] = enterHost(this.#record, argv);
    const child = spawn(command, rest, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...options.env },
    });
    closeSync(log);
    const { pid } = child;
    const startTime = pid === undefined ? undefined : startTimeOf(pid);
    child.on('error', () => {});
    child.unref();
    if (pid === undefined || startTime === undefined)
      throw new Error(`${this.name}: cannot start ${name}, see ${logFile}`);
    const record = {
      host: this.name,
      name,
      pid,
      startTime,
      ...(options.group !== undefined && { group: options.group }),
    };
    this.#ledger.addProcess(record);
    return new NamespaceProcess(record, logFile, this.#ledger);
  }
}
