import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { LINK_HEADER_BYTES, LINK_TAG_BYTES } from '../ipsec/link-cipher.ts';
import { LinkHeaders, type LinkSealer } from '../ipsec/link-seal.ts';
import { LINK_PROTOCOL, type TrustedLink } from './ports.ts';
import type { PacketVector } from './vector.ts';

const NO_TARGET = verdictOf('no-target');

/** What a sealed packet has around it on the cluster network: IPv4, UDP, GRE with key and sequence number, link header and tag. */
export const SEALED_LINK_BYTES = 20 + 8 + 12 + LINK_HEADER_BYTES + LINK_TAG_BYTES;

export interface SealedSenderOptions {
  readonly link: TrustedLink;
  readonly epoch: () => number;
  /** The key towards a target; undefined without a session: fail closed. */
  readonly sealerOf: (target: number) => LinkSealer | undefined;
}

/**
 * The routing host's way to a target for packets that are not ESP (any more): sealed, since nothing inner crosses in clear. Packets are
 * taken one by one; those of a vector are sealed and sent together, with one call of each for a target.
 */
export class SealedSender {
  readonly #options: SealedSenderOptions;
  /** Of this vector packets were taken. */
  #vector: PacketVector | undefined;
  readonly #headers = new LinkHeaders();
  readonly #targets = new Set<number>();
  /** Where packet `i` goes, -1: it was not taken. */
  #targetOf = new Int16Array(0);
  sent = 0;

  constructor(options: SealedSenderOptions) {
    this.#options = options;
  }

  /**
   * Packet `i` goes to `target` with the next `send`, which must be of the same vector: until then it has no target in there, and no
   * link sends it. What `send` cannot seal it gives a verdict.
   */
  take(vector: PacketVector, i: number, target: number, kind: number, flags: number, group: number): Verdict {
    if (this.#options.sealerOf(target) === undefined) return NO_TARGET;
    if (vector !== this.#vector) this.#begin(vector);
    this.#headers.mark(i, kind, flags, group);
    this.#targetOf[i] = target;
    this.#targets.add(target);
    return KEEP;
  }

  /** Seals and sends what was taken of this vector. */
  send(vector: PacketVector): void {
    if (vector !== this.#vector) return;
    this.#vector = undefined;
    for (const target of this.#targets) this.#sendTo(vector, target);
  }

  #begin(vector: PacketVector): void {
    this.#vector = vector;
    this.#headers.begin(vector.capacity);
    this.#targets.clear();
    if (this.#targetOf.length < vector.capacity) this.#targetOf = new Int16Array(vector.capacity);
    this.#targetOf.fill(-1);
  }

  #sendTo(vector: PacketVector, target: number): void {
    const { link, epoch, sealerOf } = this.#options;
    const { marked } = this.#headers;
    for (let i = 0; i < vector.count; i++) {
      marked[i] = this.#targetOf[i] === target ? 1 : 0;
    }
    const sealer = sealerOf(target);
    sealer?.seal(vector, this.#headers, epoch());
    for (let i = 0; i < vector.count; i++) {
      if (marked[i] !== 1 || vector.verdict[i] !== KEEP) continue;
      if (sealer === undefined) vector.verdict[i] = NO_TARGET;
      vector.target[i] = target;
      vector.linkProtocol[i] = LINK_PROTOCOL.SEALED;
    }
    this.sent += link.send(vector, target, epoch());
  }
}
