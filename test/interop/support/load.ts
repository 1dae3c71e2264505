import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { waitFor } from '../../../src/lab/wait-for.ts';
import type { Cluster } from './cluster.ts';

/** One request of the load, on a connection of its own. Times are Date.now() of this machine. */
export interface LoadedRequest {
  readonly startedAt: number;
  readonly endedAt: number;
  /** The target that answered; undefined: nobody did. */
  readonly server: string | undefined;
}

const SCRIPT = `
while [ ! -e "$1.stop" ]; do
  started=$(date +%s%3N)
  said=$(curl -s --max-time "$3" "$2") || said='-'
  echo "$started $(date +%s%3N) $said" >> "$1"
done`;

let loads = 0;

/** New connections from a client, one after another, until it is stopped. */
export class Load {
  readonly #file: string;
  readonly #done: Promise<unknown>;

  private constructor(file: string, done: Promise<unknown>) {
    this.#file = file;
    this.#done = done;
  }

  /** A request may take so long. `address`: another one than the scenario's DVIPA. */
  static start(cluster: Cluster, client: string, seconds = 1, address = cluster.dvipa): Load {
    const file = cluster.file(`load-${(loads += 1)}`);
    writeFileSync(file, '');
    rmSync(`${file}.stop`, { force: true });
    const argv = ['sh', '-c', SCRIPT, 'load', file, `http://${address}/`, String(seconds)];
    return new Load(file, cluster.lab.host(client).exec(argv, { timeoutMs: 120_000 }));
  }

  get requests(): LoadedRequest[] {
    const lines = readFileSync(this.#file, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => {
      const [startedAt, endedAt, server] = line.split(' ');
      return {
        startedAt: Number(startedAt),
        endedAt: Number(endedAt),
        server: server === '-' ? undefined : server,
      };
    });
  }

  /** Those that began at or after that time. */
  since(time: number): LoadedRequest[] {
    return this.requests.filter(({ startedAt }) => startedAt >= time);
  }

  /** Waits until so many in a row have been answered, of those that began after `time`. */
  async answered(count: number, time: number, timeoutMs = 20_000): Promise<void> {
    const areAnswered = () => {
      const last = this.since(time).slice(-count);
      return last.length === count && last.every(({ server }) => server !== undefined);
    };
    await waitFor(`${count} requests in a row are answered`, areAnswered, { timeoutMs });
  }

  async stop(): Promise<void> {
    writeFileSync(`${this.#file}.stop`, '');
    await this.#done;
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
