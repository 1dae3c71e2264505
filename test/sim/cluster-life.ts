import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { ESP_SUITES } from '../support/esp-peer.ts';
import { Random } from './event-queue.ts';

/** Probabilities per millisecond of one run, and of its wires, drawn from its seed. */
interface Faults {
  readonly targetCrash: number;
  readonly sessionLoss: number;
  readonly routerCrash: number;
  readonly rekey: number;
  readonly attack: number;
  readonly storeFailure: number;
  readonly isWireBad: boolean;
}

const TRAFFIC_MS = 400;
/** After this everything works again: sessions are up, what was lost is rekeyed. */
const QUIET_MS = 2600;
const RECORDED = 64;
/** Of the outer headers and ESP in front of the ciphertext (AES-GCM: 8 bytes of IV). */
const CIPHERTEXT_AT = 28 + 16;

/**
 * One life of a cluster in memory, all from one seed: clients that open connections and send, an attacker who replays
 * and forges, targets and routing agents that die and come back, sessions that break, rekeys, a bad link.
 */
export class ClusterLife {
  readonly cluster: MemoryCluster;
  readonly random: Random;
  readonly faults: Faults;
  /** Datagrams that an attacker has seen. */
  readonly #recorded: Buffer[] = [];
  readonly #ports: number[][];
  readonly #downUntil = new Map<number, number>();
  #routerDownUntil = 0;
  /** Nothing is broken, lost or attacked: then everything must be delivered and answered, over rekeys too. */
  readonly isPeaceful: boolean;
  crashes = 0;
  replayed = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    const { random } = this;
    const clients = random.integer(1, 3);
    this.cluster = new MemoryCluster({
      seed: seed + 1_000_000,
      targets: random.integer(1, 4),
      clients,
      suite: random.pick(ESP_SUITES),
      peerWindow: random.pick([64, 128]),
    });
    this.#ports = Array.from({ length: clients }, () => []);
    this.isPeaceful = random.chance(0.3);
    const upTo = (probability: number) =>
      random.chance(0.5) && !this.isPeaceful ? random.between(0, probability) : 0;
    this.faults = {
      targetCrash: upTo(0.01),
      sessionLoss: upTo(0.01),
      routerCrash: upTo(0.006),
      rekey: random.chance(0.5) ? random.between(0, 0.01) : 0,
      attack: upTo(0.4),
      storeFailure: upTo(0.2),
      isWireBad: upTo(1) > 0,
    };
  }

  async run(): Promise<void> {
    const { cluster, random } = this;
    const soft = random.integer(8000, 30_000);
    await cluster.up(random.chance(0.5) ? { soft, hard: 3 * soft } : undefined);
    cluster.charon.storeFailure = this.faults.storeFailure;
    if (this.faults.isWireBad) {
      cluster.network.faults = { loss: 0.02, duplicates: 0.05, jitterMs: random.integer(0, 4) };
    }
    for (let ms = 0; ms < TRAFFIC_MS; ms++) {
      this.#traffic();
      this.#attack();
      this.#breakThings();
      await cluster.run(1);
    }
    await this.#heal();
  }

  /** A new connection of each client, when all is quiet again. Returns how many had no answer. */
  async unanswered(): Promise<number> {
    const { cluster } = this;
    const opened = cluster.clients.map((client) => client.open());
    for (const { datagram } of opened) cluster.send(datagram);
    await cluster.run(600, 2); // a way may change, and a burnt lease has its silence
    return opened.filter(({ text }, i) => !cluster.clients[i]?.answered.has(text)).length;
  }

  /** Packets without exactly one answer, in a life in peace. */
  get lost(): number {
    const { clients } = this.cluster;
    return clients.reduce(
      (sum, { sent, answered }) => sum + [...sent].filter((text) => answered.get(text) !== 1).length,
      0,
    );
  }

  #traffic(): void {
    const { cluster, random } = this;
    cluster.clients.forEach((client, i) => {
      const ports = this.#ports[i] as number[];
      if (random.chance(0.06)) {
        const { port, datagram } = client.open();
        ports.push(port);
        this.#send(datagram);
      }
      for (
        let burst = random.chance(0.3) ? random.integer(1, 4) : 0;
        burst > 0 && ports.length > 0;
        burst--
      ) {
        this.#send(client.segment(random.pick(ports)).datagram);
      }
    });
  }

  #send(datagram: Buffer): void {
    this.cluster.send(datagram);
    this.#recorded[this.random.integer(0, RECORDED - 1)] = datagram;
  }

  /** Replays what was seen, as it was or with a bit flipped (a number, an inner address or port, the ICV). */
  #attack(): void {
    const { cluster, random } = this;
    const seen = this.#recorded[random.integer(0, RECORDED - 1)];
    if (seen === undefined || !random.chance(this.faults.attack)) return;
    const datagram = Buffer.from(seen);
    if (random.chance(0.3)) {
      const at = random.pick([28 + 6, 28 + 7, CIPHERTEXT_AT + 15, CIPHERTEXT_AT + 21, datagram.length - 1]);
      datagram.writeUInt8(datagram.readUInt8(at) ^ (1 << random.integer(0, 3)), at);
    }
    this.replayed++;
    cluster.send(datagram);
  }

  #breakThings(): void {
    const { cluster, random, faults } = this;
    const now = cluster.clock.now();
    for (const { n, isUp } of cluster.targets) {
      if (isUp && random.chance(faults.targetCrash)) {
        cluster.killTarget(n, random.chance(0.3));
        this.#downUntil.set(n, now + random.integer(1, 150));
        this.crashes++;
      } else if (isUp && random.chance(faults.sessionLoss)) cluster.cut(n, random.chance(0.3));
      else if (!isUp && now >= (this.#downUntil.get(n) ?? 0)) cluster.startTarget(n);
    }
    if (cluster.router.isUp && random.chance(faults.routerCrash)) {
      cluster.killRouter();
      this.#routerDownUntil = now + random.integer(1, 100);
      this.crashes++;
      // A power failure takes more than one host: what only both knew is gone.
      for (const { n, isUp } of cluster.targets) {
        if (!isUp || !random.chance(0.3)) continue;
        cluster.killTarget(n);
        this.#downUntil.set(n, now + random.integer(1, 100));
      }
    } else if (!cluster.router.isUp && now >= this.#routerDownUntil) cluster.startRouter();
    if (random.chance(faults.rekey)) cluster.rekeySoon(random.integer(1, cluster.clients.length));
  }

  async #heal(): Promise<void> {
    const { cluster } = this;
    cluster.charon.storeFailure = 0;
    cluster.network.faults = { loss: 0, duplicates: 0, jitterMs: 0 };
    if (!cluster.router.isUp) cluster.startRouter();
    for (const { n, isUp } of cluster.targets) if (!isUp) cluster.startTarget(n);
    await cluster.run(QUIET_MS, 5);
  }
}
