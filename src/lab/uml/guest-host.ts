import { Host, type LabProcess, type SpawnOptions } from '../host.ts';
import type { RunOptions, RunResult } from '../run.ts';
import { waitFor } from '../wait-for.ts';
import { finishCommand, type GuestCommand, pidOf, startCommand, statusOf } from './mailbox.ts';

/** A host that is a guest: a Linux kernel of its own. What runs in it ends with it and is in no ledger. */
export class GuestHost extends Host {
  readonly #folder: string;
  readonly #isAlive: () => boolean;

  /** `folder`: the one shared with the guest. */
  constructor(
    name: string,
    logs: string,
    guest: { readonly folder: string; readonly isAlive: () => boolean },
  ) {
    super(name, logs);
    this.#folder = guest.folder;
    this.#isAlive = guest.isAlive;
  }

  async exec(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const command = startCommand(this.#folder, argv, options);
    const { timeoutMs } = options;
    return finishCommand(this.#folder, command, {
      isAlive: this.#isAlive,
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
  }

  spawn(name: string, argv: readonly string[], { env = {} }: SpawnOptions = {}): LabProcess {
    const logFile = this.logFile(name);
    const command = startCommand(this.#folder, argv, { env, logFile });
    return new GuestProcess(this, { name, command, logFile, isAlive: this.#isAlive });
  }
}

interface GuestProcessParts {
  readonly name: string;
  readonly command: GuestCommand;
  readonly logFile: string;
  readonly isAlive: () => boolean;
}

class GuestProcess implements LabProcess {
  readonly name: string;
  readonly logFile: string;
  readonly #host: Host;
  readonly #command: GuestCommand;
  readonly #isAlive: () => boolean;

  constructor(host: Host, { name, command, logFile, isAlive }: GuestProcessParts) {
    this.name = name;
    this.logFile = logFile;
    this.#host = host;
    this.#command = command;
    this.#isAlive = isAlive;
  }

  get host(): string {
    return this.#host.name;
  }

  /** 0 until the guest has started it. */
  get pid(): number {
    return pidOf(this.#command) ?? 0;
  }

  isRunning(): boolean {
    return this.#isAlive() && statusOf(this.#command) === undefined;
  }

  async kill(signal: NodeJS.Signals): Promise<boolean> {
    if (!this.isRunning()) return false;
    const pid = await waitFor(`start of ${this.name}`, () => pidOf(this.#command));
    await this.#host.exec(['kill', '-s', signal.replace('SIG', ''), String(pid)]);
    if (signal === 'SIGKILL') await waitFor(`end of ${this.name}`, () => !this.isRunning());
    return true;
  }

  async stop(graceMs = 4_000): Promise<void> {
    if (!(await this.kill('SIGTERM'))) return;
    try {
      await waitFor(`end of ${this.name}`, () => !this.isRunning(), { timeoutMs: graceMs });
    } catch {
      await this.kill('SIGKILL');
    }
  }
}
