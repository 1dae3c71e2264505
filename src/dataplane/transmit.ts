import { type DropCounters, KEEP, SENT, verdictOf } from '../base/verdict.ts';
import type { PacketCrypto } from '../ipsec/packet-crypto.ts';
import { MAX_DATAGRAM_BYTES } from '../packet/fragment-header.ts';
import { encapsulate, outerBytes } from './encapsulate.ts';
import type { OutboundSad } from './outbound-sad.ts';
import type { SendingSa } from './outbound-steps.ts';
import { Cutter } from './oversized.ts';
import type { PacketSink } from './ports.ts';
import type { PacketVector } from './vector.ts';

const TOO_BIG = verdictOf('too-big');

/** Packets and bytes of outer packets that left; `sealed` counts ESP packets. */
export class SentCounts {
  sealed = 0;
  packets = 0;
  bytes = 0;
}

export interface TransmitterOptions {
  readonly sad: OutboundSad<SendingSa>;
  readonly crypto: PacketCrypto;
  readonly raw: PacketSink;
  readonly drops: DropCounters;
  /** 32 random bits. */
  readonly identification: number;
}

/**
 * The last steps out, for both senders: seal, outer headers, raw socket. An outer packet that is longer than its path MTU is cut here, after
 * ESP (RFC 4303 section 3.3.4), if it may be; the peer puts it together before it opens it.
 */
export class Transmitter {
  readonly sent = new SentCounts();
  readonly #options: TransmitterOptions;
  readonly #cutter: Cutter;

  constructor(options: TransmitterOptions) {
    this.#options = options;
    this.#cutter = new Cutter(options.identification);
  }

  /** Seals what has verdict 0 and sends it to the peers. Some may end as `SENT`. The caller counts the drops of the vector. */
  send(vector: PacketVector, now: number): void {
    const { crypto, sad } = this.#options;
    crypto.seal(vector);
    let hasLong = false;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      this.sent.sealed++;
      const { outer, fit } = sad.at(vector.saSlot[i] as number) as SendingSa;
      const outerLength = (vector.length[i] as number) + outerBytes(outer);
      if (outerLength > MAX_DATAGRAM_BYTES) {
        vector.verdict[i] = TOO_BIG;
        continue;
      }
      fit.refresh(now);
      if (outerLength > fit.pathMtu) {
        hasLong = true;
        // IPv6 has no such bit to copy: what came so far may be cut.
        if (vector.family[i] === 6) vector.dontFragment[i] = 0;
      }
      encapsulate(vector, i, outer);
    }
    if (hasLong) this.#cutLong(vector);
    this.#send(vector);
  }

  /** In order: numbers would reach the peer far behind later ones otherwise, and its window is small. */
  #cutLong(vector: PacketVector): void {
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP) continue;
      const { pathMtu } = (this.#options.sad.at(vector.saSlot[i] as number) as SendingSa).fit;
      if ((vector.length[i] as number) <= pathMtu) continue;
      this.#sendBefore(vector, i);
      const verdict = this.#cutter.cut(vector, i, pathMtu, (pieces) => this.#sendPieces(pieces));
      vector.verdict[i] = verdict === KEEP ? SENT : verdict;
    }
  }

  #sendPieces(pieces: PacketVector): void {
    this.#send(pieces);
    pieces.countDrops(this.#options.drops);
  }

  #sendBefore(vector: PacketVector, end: number): void {
    const { count } = vector;
    vector.count = end;
    this.#send(vector);
    vector.count = count;
    for (let i = 0; i < end; i++) if (vector.verdict[i] === KEEP) vector.verdict[i] = SENT;
  }

  #send(vector: PacketVector): void {
    if (!vector.verdict.subarray(0, vector.count).includes(KEEP)) return;
    this.sent.packets += this.#options.raw.send(vector);
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] === KEEP) this.sent.bytes += vector.length[i] as number;
    }
  }
}
