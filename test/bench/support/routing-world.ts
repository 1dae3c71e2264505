import { DropCounters, SENT } from '../../../src/base/verdict.ts';
import { newConnectionKey } from '../../../src/connections/connection-key.ts';
import { RoutingHost, type RoutingHostPorts } from '../../../src/agents/routing/routing-host.ts';
import type { DvipaService } from '../../../src/agents/routing/dvipa-service.ts';
import type { InboundSa } from '../../../src/agents/routing/routing-sas.ts';
import { Cluster } from '../../../src/agents/routing/target-peers.ts';
import type { PacketVector } from '../../../src/dataplane/vector.ts';
import { addr, DVIPA, ENDPOINT } from '../../support/inner-packets.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { CRYPTOS } from '../../support/packet-cryptos.ts';
import { routeConfig, silent } from '../../support/cluster/router.ts';
import { NullPeek } from './null-peek.ts';
import { innerOf, portOf, saNumber, saOf, Shuffle, writeDatagram } from './pipeline-world.ts';

const TARGETS = 3;
const endpoint = addr(ENDPOINT)[3] as number;

export interface WorldSize {
  readonly sas: number;
  readonly connections: number;
  /** Packets of one connection behind each other. */
  readonly run: number;
  readonly innerBytes: number;
}

/** Takes what goes to targets, and remembers the numbers for their reports. */
class NullLink {
  sent = 0;

  send(vector: PacketVector, peer: number): number {
    let count = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== 0 || vector.target[i] !== peer) continue;
      vector.verdict[i] = SENT;
      count++;
    }
    this.sent += count;
    return count;
  }

  setPeer(): void {}
  onReceive(): void {}
  async close(): Promise<void> {}
}

/** A routing host with SAs and connections, without sockets, charon and cryptography. */
export class RoutingWorld {
  readonly size: WorldSize;
  readonly drops = new DropCounters();
  readonly link = new NullLink();
  readonly host: RoutingHost;
  readonly #entries: InboundSa[] = [];
  readonly #sequence: Uint32Array;
  readonly #shuffle = new Shuffle();
  /** By target: SA and number of what it was given and has not reported. */
  readonly #unsettled: number[][] = Array.from({ length: TARGETS }, () => []);
  readonly #connectionOf: Int32Array;
  readonly #number = new Uint8Array(8);
  readonly #service: DvipaService;
  #connection = 0;
  #left = 0;

  constructor(size: WorldSize) {
    this.size = size;
    const cluster = new Cluster(routeConfig(TARGETS));
    const [service] = cluster.dvipas.values();
    this.#service = service as DvipaService;
    const { drops, link } = this;
    const ports = {
      clock: new ManualClock(),
      log: silent,
      drops,
      cluster,
      link,
      raw: { send: () => 0 },
      limits: { outside: 1500, cluster: 1600 },
      cryptos: CRYPTOS,
      store: {},
      rekeyer: {},
      plugin: {},
      epoch: () => 1,
      percentage: 10,
      allowsStamping: true,
      verificationsPerSecond: 10_000,
      hashSeed: Buffer.from('0123456789abcdef', 'hex'),
      connectionEntries: Math.max(2 ** 16, 2 ** Math.ceil(Math.log2(size.connections))),
    } as unknown as RoutingHostPorts;
    this.host = new RoutingHost(ports);
    const { sas, distributor } = this.host;
    const peek = new NullPeek();
    Object.assign(sas.peeker, { install: () => {}, peek: peek.peek.bind(peek) });
    Object.assign(sas.opening, { install: () => {} });
    for (let target = 0; target < TARGETS; target++) distributor.addTarget(addr(DVIPA), target);
    for (let n = 0; n < size.sas; n++) this.#add(n);
    this.#sequence = new Uint32Array(size.sas);
    this.#connectionOf = new Int32Array(256);
    this.#connect();
    link.sent = 0;
  }

  /** Packets that come next, as a capture would have them. */
  next(vector: PacketVector): void {
    const { sas, connections, run, innerBytes } = this.size;
    vector.reset();
    for (let i = 0; i < vector.capacity; i++) {
      if (this.#left === 0) {
        this.#connection = this.#shuffle.below(connections);
        this.#left = run;
      }
      this.#left--;
      const c = this.#connection;
      const sa = saOf(c, sas);
      const sequence = (this.#sequence[sa] as number) + 1;
      this.#sequence[sa] = sequence;
      this.#connectionOf[i] = c;
      writeDatagram(vector, i, c, sas, sequence, endpoint, innerBytes);
    }
    vector.count = vector.capacity;
  }

  run(vector: PacketVector): void {
    this.host.inbound.run(vector, 1);
  }

  /** Targets report what they were given of the last vectors: the windows go on. */
  settle(vector: PacketVector): void {
    const { sas } = this.size;
    for (let i = 0; i < vector.count; i++) {
      const target = vector.target[i] as number;
      if (target < 0) throw new Error(`packet ${i} was not dispatched: verdict ${vector.verdict[i]}`);
      this.#unsettled[target]?.push(
        saOf(this.#connectionOf[i] as number, sas),
        vector.sequenceLow[i] as number,
      );
    }
    for (const [target, list] of this.#unsettled.entries()) {
      if (list.length < 2 * 1024) continue;
      for (let at = 0; at < list.length; at += 2)
        this.#report(target, list[at] as number, list[at + 1] as number);
      list.length = 0;
    }
  }

  #report(target: number, sa: number, low: number): void {
    for (let b = 0; b < 4; b++) this.#number[4 + b] = low >>> (24 - 8 * b);
    this.#entries[sa]?.owners.reported(target, this.#number, 0);
  }

  #connect(): void {
    const { sas, connections } = this.size;
    const key = newConnectionKey();
    key.dvipa.set(addr(DVIPA));
    key.protocol = 6;
    key.destinationPort = 80;
    for (let c = 0; c < connections; c++) {
      key.group = saOf(c, sas) + 1;
      key.source.set([0, 0, 0xffff, innerOf(saOf(c, sas))]);
      key.sourcePort = portOf(c, sas);
      const outcome = this.host.distributor.confirm(key, c % TARGETS, 1);
      if (outcome !== 'new') throw new Error(`connection ${c}: ${outcome}`);
    }
  }

  #add(n: number): void {
    const entry = this.host.sas.add({
      sa: saNumber(n),
      pluginId: String(n),
      service: this.#service,
      numbering: { origin: 'new', epoch: 1 },
      lifesize: { percentage: 10 },
      createdAt: 0,
      now: 0,
    } as unknown as Parameters<typeof this.host.sas.add>[0]) as InboundSa;
    for (let target = 0; target < TARGETS; target++) entry.serving.add(target);
    this.#entries.push(entry);
  }
}
