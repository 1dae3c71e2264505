import { randomBytes, randomInt } from 'node:crypto';
import type { Kind } from './kinds.ts';
import {
  clearSyn,
  copyOf,
  type Flag,
  flipConnection,
  flipFlags,
  flipIcv,
  greInUdp,
  numberOf,
  setNumber,
  setSource,
  setSpi,
  spiOf,
  tooBig,
} from './forge.ts';

/** Where the attack goes: addresses as text. */
export interface Field {
  readonly client: string;
  readonly endpoint: string;
  readonly dvipa: string;
  /** Addresses of routing host and targets on the cluster network. */
  readonly router: string;
  readonly targets: readonly string[];
  /** The same hosts on the outside network. */
  readonly outside: readonly string[];
}

/** Of the client's datagrams, the last so many are kept. */
const RECENT = 4096;
/** Kept from the beginning on. */
const OLD = 512;
const NEAR = 5000;
const NEAREST = 200;
const NAT_TRAVERSAL_PORT = 4500;
const FLAG_NAMES: readonly Flag[] = ['syn', 'rst', 'fin'];
/** Too little for anybody. */
const TINY_MTUS = [0, 68, 100, 296, 500, 551];
/** An agent's first epoch is 1: no secret. */
const EPOCHS = [1, 2, 3];

/** What the attacker has seen of the client, and what he makes of it. He has no key. */
export class Arsenal {
  readonly #field: Field;
  readonly #recent: Buffer[] = [];
  readonly #old: Buffer[] = [];
  #next = 0;
  #seen = 0;
  #top = 0;
  #mask = 0;
  #outbound: { readonly spi: number; readonly number: number } | undefined;

  constructor(field: Field) {
    this.#field = field;
  }

  /** Datagrams of the client so far. */
  get seen(): number {
    return this.#seen;
  }

  /** Connections that were made up so far: the client's one with another port. */
  get connections(): number {
    return Math.min(this.#mask, 0xffff);
  }

  /** Nothing is made of what was not seen yet. */
  get isReady(): boolean {
    return this.#old.length > 0 && this.#outbound !== undefined;
  }

  saw(datagram: Buffer): void {
    this.#seen += 1;
    const kept = copyOf(datagram);
    if (this.#old.length < OLD) this.#old.push(kept);
    this.#recent[this.#next] = kept;
    this.#next = (this.#next + 1) % RECENT;
    this.#top = Math.max(this.#top, numberOf(kept));
  }

  sawAnswer(datagram: Buffer): void {
    this.#outbound = { spi: spiOf(datagram), number: numberOf(datagram) };
  }

  /** Copies of a datagram that was sent just now, with flipped bits. */
  races(fresh: Buffer): Buffer[] {
    const [number, icv, ports, both] = Array.from({ length: 4 }, () => copyOf(fresh)) as [
      Buffer,
      Buffer,
      Buffer,
      Buffer,
    ];
    setNumber(number, numberOf(number) ^ (1 << randomInt(6)));
    flipIcv(icv, randomInt(128));
    flipConnection(ports, this.#nextMask(), this.#flag());
    flipFlags(both, this.#flag());
    setNumber(both, numberOf(both) + randomInt(1, 4));
    return [number, icv, ports, both];
  }

  make(kind: Kind): Buffer {
    switch (kind) {
      case 'replay-recent':
        return this.#copy(this.#recent);
      case 'replay-old':
        return this.#copy(this.#old);
      case 'replay-elsewhere': {
        const copy = this.#copy(this.#recent);
        const isNear = randomInt(2) === 0;
        setSource(copy, isNear ? this.#field.client : '192.0.2.250', randomInt(1024, 65_536));
        return copy;
      }
      case 'ahead-near':
        return this.#numbered(this.#top + randomInt(1, NEAR + 1));
      case 'ahead-far':
        return this.#numbered(this.#top + randomInt(NEAR, 2 ** 31));
      case 'behind':
        return this.#numbered(Math.max(1, this.#top - randomInt(1, NEAR + 1)));
      case 'ahead-flags': {
        const copy = this.#numbered(this.#top + randomInt(1, NEAREST + 1));
        flipConnection(copy, this.#nextMask(), this.#flag());
        return copy;
      }
      case 'unknown-spi': {
        const copy = this.#copy(this.#recent);
        setSpi(copy, this.#unknownSpi());
        return copy;
      }
      default:
        return this.#other(kind);
    }
  }

  #other(kind: Kind): Buffer {
    const { client, endpoint, dvipa, router, targets, outside } = this.#field;
    const ends = { endpoint, endpointPort: NAT_TRAVERSAL_PORT, peer: client, peerPort: NAT_TRAVERSAL_PORT };
    const mtu = pick(TINY_MTUS);
    switch (kind) {
      case 'too-big-live':
        return tooBig(ends, this.#outbound?.spi ?? 0, this.#outbound?.number ?? 0, mtu);
      case 'too-big-dead':
        return tooBig(ends, this.#unknownSpi(), 1, mtu);
      case 'clear':
        return clearSyn(client, dvipa, randomInt(1024, 65_536), 80);
      case 'coupling-syn':
        return clearSyn(pick(targets), router, randomInt(1024, 65_536), 4754);
      default: {
        // From the routing host to a target, from a target to the routing host, and to their addresses outside.
        const [from, to] = pick([
          [router, pick(targets)],
          [pick(targets), router],
          [router, pick(outside)],
        ] as const);
        return greInUdp(from, to, pick(EPOCHS), randomInt(2 ** 31), this.#copy(this.#recent));
      }
    }
  }

  #copy(from: readonly Buffer[]): Buffer {
    return Buffer.from(pick(from));
  }

  #numbered(number: number): Buffer {
    const copy = this.#copy(this.#recent);
    setNumber(copy, number);
    return copy;
  }

  /** Neither the client's inbound SA nor the other one. */
  #unknownSpi(): number {
    const live = [spiOf(pick(this.#recent)), this.#outbound?.spi];
    for (;;) {
      const spi = randomBytes(4).readUInt32BE(0);
      if (spi > 255 && !live.includes(spi)) return spi;
    }
  }

  /** 1 to 65535, again and again: never 0, which would be the client's own connection. */
  #nextMask(): number {
    this.#mask += 1;
    return ((this.#mask - 1) % 0xffff) + 1;
  }

  #flag(): Flag {
    return pick(FLAG_NAMES);
  }
}

function pick<T>(items: readonly T[]): T {
  return items[randomInt(items.length)] as T;
}
