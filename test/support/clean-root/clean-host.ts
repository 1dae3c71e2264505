import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROJECT_ROOT } from '../../../src/lab/program.ts';
import { CommandError, type RunOptions, type RunResult, run } from '../../../src/lab/run.ts';
import { waitFor } from '../../../src/lab/wait-for.ts';
import { CLEAN_ROOT_FOLDER, ENDS_WITH_US } from './clean-root.ts';

const INIT = fileURLToPath(new URL('host-init.sh', import.meta.url));
const LIBRARY = join(PROJECT_ROOT, 'scripts/lib/clean-root.sh');
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Of a host with systemd; what it made in the hierarchy outlives it. */
const REMOVE_CONTROL_GROUP = `cd "$1/cgroup" 2>/dev/null && mount -t cgroup2 cgroup2 "$1/cgroup" &&
  find "$1/cgroup/\${1##*/}" -depth -type d -exec rmdir {} +`;

export interface CleanHostOptions {
  /** Roots that this one lies over, the topmost first: {@link cleanRoot}, and `layer` of hosts that have been stopped. */
  readonly lower: readonly string[];
  /** Name of the network namespace it lives in (`ip netns`); without one it shares the machine's network, as apt needs it. */
  readonly netns?: string;
  /** Whether systemd is its PID 1, as on a real host; otherwise nothing runs in it but what a test starts. */
  readonly systemd?: boolean;
}

/**
 * A host made of a clean Debian root: its own files (an overlay, so making one costs nothing), mounts, processes, host name and, if
 * named, network. With `systemd` it boots as a host does: units start, under this machine's kernel. What runs in it ends with `stop`.
 */
export class CleanHost {
  readonly name: string;
  /** What the host has written, as a lower layer for further hosts; only after `stop`. */
  readonly layer: string;
  readonly #folder: string;
  readonly #holder: ChildProcess;
  #pid = 0;

  private constructor(name: string, { lower, netns, systemd = false }: CleanHostOptions) {
    this.name = name;
    mkdirSync(CLEAN_ROOT_FOLDER, { recursive: true });
    this.#folder = mkdtempSync(join(CLEAN_ROOT_FOLDER, `${name}-`));
    this.layer = join(this.#folder, 'up');
    const namespace = netns === undefined ? [] : ['ip', 'netns', 'exec', netns];
    const argv = [...namespace, 'unshare', '--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child'];
    const init = ['bash', INIT, LIBRARY, this.#folder, lower.join(':')];
    const [command, ...rest] = [...ENDS_WITH_US, ...argv, ...init];
    const env = { ...process.env, HOST_NAME: name, HOST_INIT: systemd ? 'systemd' : 'none' };
    this.#holder = spawn(command, rest, { stdio: ['ignore', 'pipe', 'ignore'], env });
  }

  static async start(name: string, options: CleanHostOptions): Promise<CleanHost> {
    const host = new CleanHost(name, options);
    try {
      await host.#isUp(options);
    } catch (error) {
      await host.remove();
      throw error;
    }
    return host;
  }

  async #isUp({ systemd = false }: CleanHostOptions): Promise<void> {
    const { stdout, pid } = this.#holder;
    if (stdout === null) throw new Error('no pipe');
    await Promise.race([once(stdout, 'data'), once(this.#holder, 'exit')]);
    // `ip netns exec` becomes `unshare`, whose only child is PID 1 of the host.
    this.#pid = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1'));
    if (this.#pid === 0) throw new Error(`${this.name} did not start`);
    // Before it has gone to its own root, `path` is on this machine.
    const isOwn = () => statSync(this.path('/')).dev !== statSync('/').dev;
    await waitFor(`${this.name}: a root of its own`, isOwn);
    if (systemd) {
      const isUp = async () =>
        (await this.exec(['systemctl', 'is-system-running', '--wait'])).stdout === 'running\n';
      await waitFor(`${this.name}: all units are up`, isUp, { timeoutMs: 30_000 });
    }
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
    const enter = ['nsenter', '-t', String(this.#pid), '-m', '-p', '-u', '-i', '-n', '-r', '-w'];
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
    await run(['unshare', '--mount', 'sh', '-c', REMOVE_CONTROL_GROUP, 'sh', this.#folder]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
