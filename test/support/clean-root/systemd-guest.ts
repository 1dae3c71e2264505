import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
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
const BOOT_TIMEOUT_MS = 240_000;

export interface GuestInterface {
  /** Its name in the guest, a letter and a number: `eth1`. */
  readonly name: string;
  /** The tap of {@link GuestOptions.netns} that it is at our end. */
  readonly tap: string;
  /** With prefix length. */
  readonly address: string;
}

export interface GuestOptions {
  /** Its host name. */
  readonly name?: string;
  /** Namespace (`ip netns`) of the taps. */
  readonly netns?: string;
  readonly interfaces?: readonly GuestInterface[];
}

/**
 * A clean Debian root with systemd as PID 1, under a Linux kernel of its own (User Mode Linux). Commands go through files of a folder
 * that it shares with us; a unit `mailbox` runs them. It has no network but its `interfaces` and what a test makes in it.
 */
export class SystemdGuest {
  readonly #folder: string;
  readonly #shared: string;
  readonly #kernel: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(lower: readonly string[], { name = 'guest', netns, interfaces = [] }: GuestOptions) {
    mkdirSync(CLEAN_ROOT_FOLDER, { recursive: true });
    this.#folder = mkdtempSync(join(CLEAN_ROOT_FOLDER, `${name}-`));
    this.#shared = join(this.#folder, 'shared');
    mkdirSync(join(this.#shared, 'commands'), { recursive: true });
    copyFileSync(LOOP, join(this.#shared, 'loop.sh'));
    writeFileSync(join(this.#shared, 'name'), name);
    writeFileSync(join(this.#shared, 'sysctls'), '');
    writeFileSync(join(this.#shared, 'network'), interfaces.map(networkLines).join(''));
    const network = netns === undefined ? ['unshare', '--net'] : ['ip', 'netns', 'exec', netns, 'unshare'];
    const init = ['bash', INIT, LIBRARY, this.#folder, lower.join(':'), this.#shared];
    const devices = interfaces.map((link) => `${deviceOf(link)}:transport=tap,ifname=${link.tap},depth=128`);
    const unshare = [...network, '--mount', '--pid', '--fork', '--kill-child'];
    const [command, ...argv] = [...ENDS_WITH_US, ...unshare, ...init, ...devices];
    this.#kernel = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = once(this.#kernel, 'exit');
    const log = createWriteStream(this.consoleLog);
    this.#kernel.stdout?.pipe(log);
    this.#kernel.stderr?.pipe(log);
  }

  /** Boots a root, `lower` as in CleanHostOptions; resolves when it takes commands. */
  static async boot(lower: readonly string[], options: GuestOptions = {}): Promise<SystemdGuest> {
    const guest = new SystemdGuest(lower, options);
    try {
      await guest.#isUp();
    } catch (error) {
      await guest.remove();
      throw error;
    }
    return guest;
  }

  async #isUp(): Promise<void> {
    const ready = join(this.#shared, 'ready');
    const isReady = () => (existsSync(ready) && readFileSync(ready, 'utf8').endsWith('\n')) || !this.isAlive;
    await waitFor('the guest takes commands', isReady, { timeoutMs: BOOT_TIMEOUT_MS });
    const said = this.isAlive ? readFileSync(ready, 'utf8').trim() : 'its kernel ended';
    if (said !== 'up')
      throw new Error(`guest: ${said}: ${readFileSync(this.consoleLog, 'utf8').slice(-2000)}`);
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

/** The kernel's own name of an interface, by its number. guest-loop.sh has names for vec0 and vec1. */
function deviceOf({ name }: GuestInterface): string {
  return `vec${Number(name.replace(/^\D+/, '')) + 2}`;
}

/** Lines for `ip -batch`. */
function networkLines(link: GuestInterface): string {
  return `link set ${deviceOf(link)} name ${link.name}
address add ${link.address} dev ${link.name}
link set ${link.name} up
`;
}
