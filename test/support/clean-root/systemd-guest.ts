import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROJECT_ROOT } from '../../../src/lab/program.ts';
import { CommandError, type RunOptions, type RunResult } from '../../../src/lab/run.ts';
import { finishCommand, startCommand } from '../../../src/lab/uml/mailbox.ts';
import { waitFor } from '../../../src/lab/wait-for.ts';
import { CLEAN_ROOT_FOLDER, ENDS_WITH_US } from './clean-root.ts';

const INIT = fileURLToPath(new URL('host-init.sh', import.meta.url));
const LIBRARY = join(PROJECT_ROOT, 'scripts/lib/clean-root.sh');
const LOOP = join(PROJECT_ROOT, 'src/lab/uml/guest-loop.sh');
const BOOT_TIMEOUT_MS = 90_000;

/**
 * A clean Debian root with systemd as PID 1, under a Linux kernel of its own (User Mode Linux). Commands go through files of a folder
 * that it shares with us; a unit `mailbox` runs them. It has no network but what a test makes in it.
 */
export class SystemdGuest {
  readonly #folder: string;
  readonly #shared: string;
  readonly #kernel: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(lower: readonly string[]) {
    mkdirSync(CLEAN_ROOT_FOLDER, { recursive: true });
    this.#folder = mkdtempSync(join(CLEAN_ROOT_FOLDER, 'guest-'));
    this.#shared = join(this.#folder, 'shared');
    mkdirSync(join(this.#shared, 'commands'), { recursive: true });
    copyFileSync(LOOP, join(this.#shared, 'loop.sh'));
    for (const nothing of ['sysctls', 'network']) writeFileSync(join(this.#shared, nothing), '');
    const init = ['bash', INIT, LIBRARY, this.#folder, lower.join(':'), this.#shared];
    const [command, ...argv] = [
      ...ENDS_WITH_US,
      'unshare',
      '--mount',
      '--pid',
      '--net',
      '--fork',
      '--kill-child',
      ...init,
    ];
    this.#kernel = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = once(this.#kernel, 'exit');
    const log = createWriteStream(this.consoleLog);
    this.#kernel.stdout?.pipe(log);
    this.#kernel.stderr?.pipe(log);
  }

  /** Boots a root, `lower` as in CleanHostOptions; resolves when it takes commands. */
  static async boot(lower: readonly string[]): Promise<SystemdGuest> {
    const guest = new SystemdGuest(lower);
    const isReady = () => existsSync(join(guest.#shared, 'ready')) || !guest.isAlive;
    await waitFor(`${guest.consoleLog}: the guest takes commands`, isReady, { timeoutMs: BOOT_TIMEOUT_MS });
    if (!guest.isAlive) throw new Error(`${guest.consoleLog}: the guest ended`);
    return guest;
  }

  get consoleLog(): string {
    return join(this.#folder, 'console.log');
  }

  get isAlive(): boolean {
    return this.#kernel.exitCode === null && this.#kernel.signalCode === null;
  }

  exec(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const isAlive = () => this.isAlive;
    const { timeoutMs = 60_000 } = options;
    return finishCommand(this.#shared, startCommand(this.#shared, argv, options), { isAlive, timeoutMs });
  }

  /** As `exec`, for a command that has to succeed: what it said on standard output. */
  async must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await this.exec(argv, options);
    if (result.status !== 0) throw new CommandError(argv, result);
    return result.stdout;
  }

  /** `must` of a shell script. */
  sh(script: string, options: RunOptions = {}): Promise<string> {
    return this.must(['sh', '-euc', script], options);
  }

  /** Switches it off, as a power cut would, and removes what it has written. */
  async remove(): Promise<void> {
    this.#kernel.kill('SIGKILL');
    await this.#ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
