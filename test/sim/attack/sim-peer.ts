import { ACK, SYN, espInUdp, tcp } from '../../support/inner-packets.ts';
import type { Random } from '../event-queue.ts';
import type { Genuine, Oracle } from './oracle.ts';
import { sealSim } from './sim-esp.ts';

const CONNECTIONS = 12;
const PLACES = [4500, 61_000, 61_001];
const TWO_32 = 2n ** 32n;

/** A genuine datagram on its way. */
export interface Sent {
  readonly genuine: Genuine;
  readonly datagram: Buffer;
}

/** An ordinary IKEv2 client with one SA: opens connections, sends on them, is given another port by its NAT now and then. */
export class SimPeer {
  readonly spi: number;
  readonly group: number;
  readonly address: string;
  readonly inner: string;
  readonly #random: Random;
  readonly #oracle: Oracle;
  readonly #ports: number[] = [];
  readonly #nextId: () => number;
  #number: bigint;
  #nextPort = 40_000;
  #sourcePort = PLACES[0] as number;

  constructor(options: {
    readonly k: number;
    readonly random: Random;
    readonly oracle: Oracle;
    readonly firstNumber: bigint;
    readonly nextId: () => number;
  }) {
    const { k } = options;
    this.spi = 0xc000_0001 + k;
    this.group = 1 + k;
    this.address = `192.0.2.${101 + k}`;
    this.inner = `10.1.1.${1 + k}`;
    this.#random = options.random;
    this.#oracle = options.oracle;
    this.#number = options.firstNumber - 1n;
    this.#nextId = options.nextId;
    this.#oracle.peerAt(this.spi, this.place);
  }

  get place(): string {
    return `${this.address}:${this.#sourcePort}`;
  }

  /** Ports of its connections. */
  get ports(): readonly number[] {
    return this.#ports;
  }

  move(): void {
    this.#sourcePort = this.#random.pick(PLACES);
    this.#oracle.peerAt(this.spi, this.place);
  }

  next(): Sent {
    const { random } = { random: this.#random };
    const opens = this.#ports.length === 0 || (this.#ports.length < CONNECTIONS && random.chance(0.1));
    const port = opens ? this.#nextPort++ : random.pick(this.#ports);
    if (opens) this.#ports.push(port);
    const id = this.#nextId();
    const data = id.toString(16).padStart(8, '0');
    const inner = tcp({ source: this.inner, sourcePort: port, flags: opens ? SYN : ACK, data });
    const number = ++this.#number;
    const genuine = { id, sa: this.spi, number, port, opens, inner };
    this.#oracle.sent(genuine);
    const place = { high: Number(number / TWO_32), low: Number(number % TWO_32) };
    const datagram = espInUdp(sealSim(this.spi, place, inner), {
      source: this.address,
      sourcePort: this.#sourcePort,
    });
    return { genuine, datagram };
  }
}
