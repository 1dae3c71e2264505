import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionSnapshot } from '../../../../src/observe/connection-snapshots.ts';
import type { Cluster } from '../cluster.ts';

const EVERY_MS = 500;

/** What the cluster said of itself at one time. */
export interface Sample {
  readonly connections: readonly ConnectionSnapshot[];
  /** Of every host, each SA with its peer's place. */
  readonly peers: readonly string[];
  readonly targetsUp: number;
}

/** Looks at the cluster all the time while something else goes on. */
export class Sampler {
  readonly samples: Sample[] = [];
  readonly #cluster: Cluster;
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#done = this.#run();
  }

  async stop(): Promise<readonly Sample[]> {
    this.#isOver = true;
    await this.#done;
    return this.samples;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.samples.push(await sampleOf(this.#cluster));
      await sleep(EVERY_MS);
    }
  }
}

export async function sampleOf(cluster: Cluster): Promise<Sample> {
  const hosts = ['router1', ...cluster.targets];
  const sas = await Promise.all(
    hosts.map(async (host) =>
      (await cluster.ask(host, 'sas')).map(
        ({ spi, direction, peer }) => `${host} ${direction} ${spi} ${peer}`,
      ),
    ),
  );
  const targets = await cluster.ask('router1', 'targets');
  return {
    connections: await cluster.ask('router1', 'connections'),
    peers: sas.flat().toSorted(),
    targetsUp: targets.filter(({ state }) => state === 'up').length,
  };
}
