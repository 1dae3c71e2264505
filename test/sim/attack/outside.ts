import type { EventQueue, Random } from '../event-queue.ts';
import { Adversary } from './adversary.ts';
import type { Oracle } from './oracle.ts';
import type { Settings } from './settings.ts';
import { type Sent, SimPeer } from './sim-peer.ts';

const BEGINS_MS = 8;
const TRAFFIC_MS = 45;
const ATTACK_MS = 75;

export interface OutsideOptions {
  readonly random: Random;
  readonly events: EventQueue;
  readonly oracle: Oracle;
  readonly settings: Settings;
  /** What the routing host captures, read together. */
  readonly captured: (datagrams: readonly Buffer[]) => void;
}

/** The network between the peers and the routing host: what they send, late by a little, and what the adversary makes of it. */
export class Outside {
  readonly peers: readonly SimPeer[];
  readonly #options: OutsideOptions;
  readonly #adversary: Adversary;
  #ids = 0;
  #arrivals: Buffer[] = [];

  constructor(options: OutsideOptions) {
    this.#options = options;
    const { random, oracle, settings } = options;
    const { firstNumber, hostility } = settings;
    const nextId = () => ++this.#ids;
    this.peers = Array.from(
      { length: settings.peers },
      (_, k) => new SimPeer({ k, random, oracle, firstNumber, nextId }),
    );
    this.#adversary = new Adversary(random, oracle, hostility);
  }

  start(): void {
    const { events } = this.#options;
    events.after(BEGINS_MS, () => this.#send());
    events.after(BEGINS_MS, () => this.#attack());
  }

  #send(): void {
    const { random, events, settings } = this.#options;
    if (events.now > TRAFFIC_MS) return;
    const peer = random.pick(this.peers);
    if (random.chance(0.01)) peer.move();
    const sent = peer.next();
    for (const racing of this.#adversary.observe(sent, peer.ports)) this.#arrive(racing);
    events.after(random.between(0, settings.jitterMs), () => this.#genuineArrives(sent));
    events.after(random.after(0.4), () => this.#send());
  }

  #genuineArrives(sent: Sent): void {
    this.#adversary.arrived(sent);
    this.#arrive(sent.datagram);
  }

  #attack(): void {
    const { random, events } = this.#options;
    if (events.now > ATTACK_MS) return;
    for (const datagram of this.#adversary.round(random.pick(this.peers).ports)) this.#arrive(datagram);
    events.after(random.after(0.3), () => this.#attack());
  }

  /** Captured: read together with what else comes within a tenth of a millisecond. */
  #arrive(datagram: Buffer): void {
    if (this.#arrivals.push(datagram) > 1) return;
    this.#options.events.after(0.1, () => {
      const datagrams = this.#arrivals;
      this.#arrivals = [];
      this.#options.captured(datagrams);
    });
  }
}
