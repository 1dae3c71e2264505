import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { LIKE_WIRES } from '../../../src/lab/network.ts';
import type { Operations } from './net-worker.ts';

type Result<K extends keyof Operations> = Awaited<ReturnType<Operations[K]>>;

/** A host made of a network namespace, with any number of worker processes in it. */
export class NetHost {
  readonly name: string;
  readonly #workers = new Set<NetWorker>();

  /** $DVIPA_NETNS_PREFIX goes before the name, so that a test may run beside itself. */
  constructor(name: string) {
    this.name = `${process.env['DVIPA_NETNS_PREFIX'] ?? ''}${name}`;
    NetHost.remove(this.name);
    execFileSync('ip', ['netns', 'add', this.name]);
    this.ip('link set lo up');
  }

  static remove(name: string): void {
    try {
      execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
    } catch {
      // There was none.
    }
  }

  /** Joins two hosts by a pair of interfaces; `superPackets` as of the lab. */
  static wire(a: NetHost, aLink: string, b: NetHost, bLink: string, superPackets = false): void {
    a.ip(`link add ${aLink} type veth peer name ${bLink} netns ${b.name}`);
    a.ip(`link set ${aLink} up`);
    b.ip(`link set ${bLink} up`);
    if (!superPackets) for (const host of [a, b]) host.run(LIKE_WIRES);
  }

  /** Runs `ip` with words separated by blanks. */
  ip(words: string): string {
    return execFileSync('ip', ['-n', this.name, ...words.split(' ')], { encoding: 'utf8' });
  }

  run(command: string): string {
    return execFileSync('ip', ['netns', 'exec', this.name, 'sh', '-c', command], { encoding: 'utf8' });
  }

  /** Runs a script of Python's. */
  python(script: string, args: readonly string[] = [], input = ''): string {
    const argv = ['netns', 'exec', this.name, '/usr/bin/python3', '-c', script, ...args];
    return execFileSync('ip', argv, { encoding: 'utf8', input });
  }

  /** The Ethernet address of an interface. */
  linkAddress(link: string): string {
    const [shown] = JSON.parse(this.ip(`-j link show dev ${link}`)) as { address: string }[];
    return (shown as { address: string }).address;
  }

  /** `preload`: libraries that go before the worker's own; `env`: what else it finds in its environment. */
  async worker(options: WorkerOptions = {}): Promise<NetWorker> {
    const worker = new NetWorker(this.name, options);
    this.#workers.add(worker);
    await worker.ready;
    return worker;
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) await worker.kill();
    NetHost.remove(this.name);
  }
}

interface WorkerOptions {
  readonly preload?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class NetWorker {
  readonly ready: Promise<unknown>;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #pending = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #lastId = 0;

  constructor(namespace: string, { preload: libraries = [], env = {} }: WorkerOptions) {
    const script = fileURLToPath(new URL('./net-worker.ts', import.meta.url));
    // Into the worker alone: a sanitizer finds faults in `ip` itself.
    const first = process.env['DVIPA_WORKER_PRELOAD'];
    const all = first === undefined ? libraries : [first, ...libraries];
    const preload = all.length === 0 ? [] : [`LD_PRELOAD=${all.join(':')}`];
    this.#child = fork(script, {
      execPath: 'ip',
      env: { ...process.env, ...env },
      execArgv: ['netns', 'exec', namespace, 'env', ...preload, process.execPath, '--import', 'tsx'],
    });
    this.ready = this.#reply(0);
    this.#child.on('message', (message: { id: number; value?: unknown; error?: string }) => {
      const waiter = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.error === undefined) waiter?.resolve(message.value);
      else waiter?.reject(new Error(message.error));
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => {
        for (const { reject } of this.#pending.values()) reject(new Error('the worker ended'));
        resolve();
      });
    });
  }

  do<K extends keyof Operations>(operation: K, ...values: Parameters<Operations[K]>): Promise<Result<K>> {
    const id = ++this.#lastId;
    const reply = this.#reply(id);
    this.#child.send({ id, operation, values });
    return reply as Promise<Result<K>>;
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #reply(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
  }
}
