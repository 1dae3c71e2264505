import type { Random } from './event-queue.ts';

/** What the peer, and nobody of us, knows: every number and every IV that ever was on the wire. */
export class Peer {
  readonly violations: string[] = [];
  readonly #numbers = new Set<number>();
  readonly #ivs = new Set<number>();
  readonly window: number;
  #top = 0;
  received = 0;
  /** Of stamped packets that were looked at: taken, and refused for their ICV. */
  readonly icvs = { right: 0, wrong: 0 };
  /** Largest distance of an arriving number behind the top. */
  skew = 0;

  constructor(window: number) {
    this.window = window;
  }

  /** On the wire: never again, delivered or not. */
  sealed(number: number, senderId: number, counter: number): void {
    if (this.#numbers.has(number)) this.violations.push(`number ${number} twice`);
    this.#numbers.add(number);
    const iv = senderId * 2 ** 36 + counter;
    if (this.#ivs.has(iv)) this.violations.push(`IV ${senderId}|${counter} twice`);
    this.#ivs.add(iv);
  }

  opened(isRight: boolean): void {
    if (isRight) this.icvs.right++;
    else this.icvs.wrong++;
  }

  arrived(number: number): void {
    this.received++;
    this.#top = Math.max(this.#top, number);
    this.skew = Math.max(this.skew, this.#top - number);
    if (number <= this.#top - this.window) this.violations.push(`number ${number} late, top ${this.#top}`);
  }
}

/** A host's way to the peer: one packet after the other, and a little jitter. Ways differ by less than Delta. */
export interface Wire {
  readonly delay: number;
  freeAt: number;
}

export const newWire = (random: Random): Wire => ({ delay: random.between(0.1, 0.9), freeAt: 0 });
export const PACKET_MS = 0.01;
