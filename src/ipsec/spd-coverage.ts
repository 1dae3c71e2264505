import { ADDRESS_WORDS, copyAddress, equalAddresses } from '../packet/address.ts';
import type { Conversation, Spd } from './spd.ts';

const SLOTS = 1024;

/** `Spd.covers` with a memory: a direct-mapped cache of its last answers, which a change of the SPD makes worthless. No allocation. */
export class SpdCoverage {
  readonly #spd: Pick<Spd, 'version' | 'covers'>;
  readonly #version = new Float64Array(SLOTS).fill(-1);
  readonly #answer = new Uint8Array(SLOTS);
  readonly #dvipa = new Uint32Array(SLOTS * ADDRESS_WORDS);
  readonly #source = new Uint32Array(SLOTS * ADDRESS_WORDS);
  readonly #ports = new Uint32Array(SLOTS);
  readonly #protocol = new Uint8Array(SLOTS);

  constructor(spd: Pick<Spd, 'version' | 'covers'>) {
    this.#spd = spd;
  }

  covers(conversation: Conversation): boolean {
    const { dvipa, source, protocol, sourcePort, destinationPort } = conversation;
    const { version } = this.#spd;
    const ports = ((sourcePort << 16) | destinationPort) >>> 0;
    const mixed = (source[3] as number) ^ (source[1] as number) ^ ports ^ protocol;
    const slot = (Math.imul(mixed, 0x9e3779b1) >>> 16) & (SLOTS - 1);
    const words = slot * ADDRESS_WORDS;
    if (
      this.#version[slot] === version &&
      this.#ports[slot] === ports &&
      this.#protocol[slot] === protocol &&
      equalAddresses(this.#source, words, source, 0) &&
      equalAddresses(this.#dvipa, words, dvipa, 0)
    ) {
      return this.#answer[slot] === 1;
    }
    const answer = this.#spd.covers(conversation);
    this.#version[slot] = version;
    this.#ports[slot] = ports;
    this.#protocol[slot] = protocol;
    copyAddress(source, 0, this.#source, words);
    copyAddress(dvipa, 0, this.#dvipa, words);
    this.#answer[slot] = answer ? 1 : 0;
    return answer;
  }
}
