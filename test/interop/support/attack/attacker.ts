import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { hostNamespace } from '../../../../src/lab/network.ts';
import { sourceLoader } from '../../../../src/lab/program.ts';
import type { Host } from '../../../../src/lab/host.ts';
import { waitFor } from '../../../../src/lab/wait-for.ts';
import type { Cluster } from '../cluster.ts';
import type { Field } from './arsenal.ts';
import type { Operations, Orders } from './generator.ts';
import type { Kind } from './kinds.ts';

type Result<K extends keyof Operations> = ReturnType<Operations[K]>;

const CLIENT = 'client1';
/** Of what goes to the client the attacker needs little: an SPI and numbers. */
const ANSWERS_PER_SECOND = 20;

export interface AttackOptions {
  readonly packetsPerSecond: number;
  readonly without?: readonly Kind[];
}

/**
 * A host of the outside network that sees the traffic of `client1` and has no key: the lab's `client2`, whose charon ends. The
 * bridge gives it a copy of each frame, as a mirror port of a switch does.
 */
export class Attacker {
  readonly host: Host;
  readonly #child: ChildProcess;
  #lastId = 0;

  private constructor(host: Host, child: ChildProcess) {
    this.host = host;
    this.#child = child;
  }

  static async up(cluster: Cluster, options: AttackOptions): Promise<Attacker> {
    const { lab } = cluster;
    const host = lab.host('client2');
    await lab.process(host.name, 'charon').stop();
    const field = fieldOf(cluster);
    await host.must(['ip', '-batch', '-'], { input: routesTo(cluster) });
    await lab.host('outside').must(['nft', '-f', '-'], { input: tapRules(cluster, host.name) });
    const script = fileURLToPath(new URL('generator.ts', import.meta.url));
    const child = fork(script, {
      execPath: 'ip',
      execArgv: [
        'netns',
        'exec',
        hostNamespace(lab.options.prefix, host.name),
        process.execPath,
        '--import',
        sourceLoader(),
      ],
    });
    const attacker = new Attacker(host, child);
    await attacker.#reply(0);
    const { packetsPerSecond, without = [] } = options;
    await attacker.#do('watch', { field, packetsPerSecond, without });
    return attacker;
  }

  /** Waits until enough was seen, and begins. */
  async start(): Promise<void> {
    await waitFor('the attacker has seen both ways of the client', () => this.#do('isReady'));
    await this.#do('start');
  }

  /** Ends the flood; what was sent, by kind. */
  stop(): Promise<Result<'stop'>> {
    return this.#do('stop');
  }

  async down(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #do<K extends keyof Operations>(operation: K, value?: Orders): Promise<Result<K>> {
    const id = (this.#lastId += 1);
    const reply = this.#reply(id);
    this.#child.send({ id, operation, value });
    return (await reply) as Result<K>;
  }

  #reply(wanted: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const take = ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
        if (id !== wanted) return;
        this.#child.off('message', take);
        this.#child.off('exit', ended);
        if (error === undefined) resolve(value);
        else reject(new Error(error));
      };
      const ended = () => reject(new Error('the attacker has ended'));
      this.#child.on('message', take);
      this.#child.once('exit', ended);
    });
  }
}

function fieldOf({ lab }: Cluster): Field {
  const router = lab.plan.find(({ kind }) => kind === 'router');
  const targets = lab.plan.filter(({ kind }) => kind === 'target');
  const { endpoint, dvipa } = lab.scenario;
  return {
    client: lab.plan.find(({ name }) => name === CLIENT)?.outsideAddress ?? '',
    endpoint,
    dvipa,
    router: router?.clusterAddress ?? '',
    targets: targets.map(({ clusterAddress = '' }) => clusterAddress),
    outside: [endpoint, ...[router, ...targets].map((host) => host?.outsideAddress ?? '')],
  };
}

/** What is not on the outside network is sent to the host that has it, at its address outside. */
function routesTo({ lab }: Cluster): string {
  const routes = lab.plan.flatMap(({ kind, clusterAddress, outsideAddress }) => [
    ...(clusterAddress === undefined ? [] : [`route replace ${clusterAddress}/32 via ${outsideAddress}`]),
    ...(kind === 'router' ? [`route replace ${lab.scenario.dvipa}/32 via ${outsideAddress}`] : []),
  ]);
  return `${routes.join('\n')}\n`;
}

function tapRules({ lab }: Cluster, attacker: string): string {
  const client = lab.plan.find(({ name }) => name === CLIENT)?.outsideAddress ?? '';
  const servers = lab.plan.filter(({ kind }) => kind === 'router' || kind === 'target');
  return `
    table netdev tap
    delete table netdev tap
    table netdev tap {
      chain sent {
        type filter hook ingress device "${CLIENT}" priority 0;
        ip saddr ${client} udp dport 4500 dup to "${attacker}";
      }
      ${servers
        .map(
          ({ name }) => `chain from_${name} {
        type filter hook ingress device "${name}" priority 0;
        ip daddr ${client} udp sport 4500 limit rate ${ANSWERS_PER_SECOND}/second dup to "${attacker}";
      }`,
        )
        .join('\n')}
    }`;
}
