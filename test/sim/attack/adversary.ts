import { IPV4_HEADER_BYTES } from '../../../src/packet/ipv4.ts';
import type { Random } from '../event-queue.ts';
import type { Oracle } from './oracle.ts';
import type { Sent } from './sim-peer.ts';

const ESP_AT = IPV4_HEADER_BYTES + 8;
const NUMBER_AT = ESP_AT + 4;
const INNER_AT = ESP_AT + 8;
const SOURCE_PORT_AT = INNER_AT + IPV4_HEADER_BYTES;
const FLAGS_AT = SOURCE_PORT_AT + 13;
const REMEMBERED = 400;

/** Probabilities, drawn once for each run. */
export interface Hostility {
  /** Per genuine packet: a changed copy arrives before it. */
  readonly race: number;
  /** Per round: a copy of something old; a packet with a number of the adversary's choice; a copy from elsewhere. */
  readonly replay: number;
  readonly forge: number;
  readonly elsewhere: number;
}

/** Sees everything, knows no key. Sends copies, changed or not, from wherever it likes. */
export class Adversary {
  readonly #random: Random;
  readonly #oracle: Oracle;
  readonly #hostility: Hostility;
  readonly #seen: Sent[] = [];
  /** Whoever can hold a packet back and send it on from elsewhere first moves its peer (docs/inbound.md, section 6): not here. */
  readonly #arrived: Sent[] = [];
  sent = 0;

  constructor(random: Random, oracle: Oracle, hostility: Hostility) {
    this.#random = random;
    this.#oracle = oracle;
    this.#hostility = hostility;
  }

  /** A genuine packet leaves its peer. Returns what overtakes it. */
  observe(sent: Sent, ports: readonly number[]): Buffer[] {
    this.#seen.push(sent);
    if (this.#seen.length > REMEMBERED) this.#seen.shift();
    const racing: Buffer[] = [];
    while (racing.length < 4 && this.#random.chance(this.#hostility.race)) {
      racing.push(this.#changed(sent.datagram, ports));
    }
    this.sent += racing.length;
    return racing;
  }

  arrived(sent: Sent): void {
    this.#arrived.push(sent);
    if (this.#arrived.length > REMEMBERED) this.#arrived.shift();
  }

  /** What it sends of its own accord. */
  round(ports: readonly number[]): Buffer[] {
    const { replay, forge, elsewhere } = this.#hostility;
    const random = this.#random;
    const sent: Buffer[] = [];
    if (this.#seen.length === 0) return sent;
    if (random.chance(replay)) {
      const recent = Math.max(
        0,
        this.#seen.length - 1 - random.integer(0, random.chance(0.8) ? 30 : REMEMBERED),
      );
      sent.push(Buffer.from((this.#seen[recent] as Sent).datagram));
    }
    if (random.chance(forge)) sent.push(this.#renumbered((this.#seen.at(-1) as Sent).datagram, ports));
    if (this.#arrived.length > 0 && random.chance(elsewhere)) {
      const { genuine, datagram } = random.pick(this.#arrived.slice(-20));
      if (!this.#oracle.isDelivered(genuine.id)) return sent;
      const copy = Buffer.from(datagram);
      copy.writeUInt8(66, 15);
      copy.writeUInt16BE(random.pick([4500, 6666]), IPV4_HEADER_BYTES);
      sent.push(copy);
    }
    this.sent += sent.length;
    return sent;
  }

  /** Header bits flipped (another connection, other flags), or the ICV: none of them is genuine. */
  #changed(datagram: Buffer, ports: readonly number[]): Buffer {
    const random = this.#random;
    const copy = Buffer.from(datagram);
    const kind = random.integer(0, 4);
    if (kind <= 1) copy.writeUInt16BE(random.pick([...ports, random.integer(1, 65_535)]), SOURCE_PORT_AT);
    else if (kind === 2) copy.writeUInt8(random.pick([0x02, 0x04, 0x01, 0x10]), FLAGS_AT);
    else if (kind === 3) return this.#renumbered(datagram, ports);
    const at = copy.length - 16 + random.integer(0, 3);
    copy.writeUInt8(copy.readUInt8(at) ^ (1 << random.integer(0, 7)), at);
    return copy;
  }

  /** Under another number: near, a ring further on, or far. */
  #renumbered(datagram: Buffer, ports: readonly number[]): Buffer {
    const random = this.#random;
    const copy = Buffer.from(datagram);
    const number = copy.readUInt32BE(NUMBER_AT);
    const ahead = random.pick([
      1,
      2,
      3,
      random.integer(1, 60),
      -random.integer(1, 60),
      32,
      64,
      128,
      4096,
      2 ** 30,
    ]);
    copy.writeUInt32BE((number + ahead) >>> 0, NUMBER_AT);
    if (random.chance(0.5)) copy.writeUInt16BE(random.pick([...ports, 1]), SOURCE_PORT_AT);
    return copy;
  }
}
