import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROJECT_ROOT } from '../../../src/lab/program.ts';
import { CommandError, type RunOptions, type RunResult, run } from '../../../src/lab/run.ts';
import { CLEAN_ROOT_FOLDER, ENDS_WITH_US } from './clean-root.ts';

const INIT = fileURLToPath(new URL('host-init.sh', import.meta.url));
const LIBRARY = join(PROJECT_ROOT, 'scripts/lib/clean-root.sh');
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface CleanHostOptions {
  /** Roots that this one lies over, the topmost first: {@link cleanRoot}, and `layer` of hosts that have been stopped. */
  readonly lower: readonly string[];
  /** Name of the network namespace it lives in (`ip netns`); without one it shares the machine's network, as apt needs it. */
  readonly netns?: string;
}

/**
 * A host made of a clean Debian root: its own files (an overlay, so making one costs nothing), mounts, processes, host name and, if
 * named, network; no systemd. What runs in it ends with `stop`.
 */
export class CleanHost {
  readonly name: string;
  /** What the host has written, as a lower layer for further hosts; only after `stop`. */
  readonly layer: string;
  readonly #folder: string;
  readonly #holder: ChildProcess;
  #pid = 0;

  private constructor(name: string, { lower, netns }: CleanHostOptions) {
    this.name = name;
    mkdirSync(CLEAN_ROOT_FOLDER, { recursive: true });
    this.#folder = mkdtempSync(join(CLEAN_ROOT_FOLDER, `${name}-`));
    this.layer = join(this.#folder, 'up');
    const namespace = netns === undefined ? [] : ['ip', 'netns', 'exec', netns];
    const argv = [...namespace, 'unshare', '--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child'];
    const [command, ...rest] = [
      ...ENDS_WITH_US,
      ...argv,
      'bash',
      INIT,
      LIBRARY,
      this.#folder,
      lower.join(':'),
    ];
    this.#holder = spawn(command, rest, { stdio: ['ignore', 'pipe', 'ignore'] });
  }

  static async start(name: string, options: CleanHostOptions): Promise<CleanHost> {
    const host = new CleanHost(name, options);
    const { stdout, pid } = host.#holder;
    if (stdout === null) throw new Error('no pipe');
    await Promise.race([once(stdout, 'data'), once(host.#holder, 'exit')]);
    // `ip netns exec` becomes `unshare`, whose only child is PID 1 of the host.
    host.#pid = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1'));
    if (host.#pid === 0) throw new Error(`${name} did not start`);
    await host.must(['hostname', name]);
    return host;
  }

  /** Runs a command as root in this host, with nothing of our environment but proxies. */
  exec(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(this.command(argv, options.env), { ...options, env: {} });
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

  /** The command line that runs `argv` in this host, for whoever starts it himself (a daemon). */
  command(argv: readonly string[], env: Readonly<Record<string, string>> = {}): string[] {
    const proxies = Object.entries(process.env).filter(([name]) => /^(?:https?|no)_proxy$/i.test(name));
    const settings = Object.entries({
      PATH,
      HOME: '/root',
      LANG: 'C.UTF-8',
      DEBIAN_FRONTEND: 'noninteractive',
      ...Object.fromEntries(proxies),
      ...env,
    }).map(([name, value]) => `${name}=${value}`);
    const enter = ['nsenter', '-t', String(this.#pid), '-m', '-p', '-u', '-i', '-n', '-r', '--wd=/'];
    return [...enter, 'env', '-i', ...settings, ...argv];
  }

  /** Where a file of this host is for us, while it runs. */
  path(file: string): string {
    return `/proc/${this.#pid}/root${file}`;
  }

  /** Writes a file there, making its folder. */
  write(file: string, content: string | Uint8Array, mode = 0o644): void {
    mkdirSync(dirname(this.path(file)), { recursive: true });
    writeFileSync(this.path(file), content, { mode });
  }

  /** Copies a file of ours there, making its folder. */
  copyIn(from: string, to: string): void {
    mkdirSync(dirname(this.path(to)), { recursive: true });
    copyFileSync(from, this.path(to));
  }

  /** Ends all that runs in it; its files stay until `remove`. */
  async stop(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const ended = once(this.#holder, 'exit');
    process.kill(this.#pid, 'SIGKILL');
    await ended;
  }

  /** Stops it and removes what it has written. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
