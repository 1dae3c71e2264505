import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import type { LinkHeader, LinkSealer } from '../ipsec/link-seal.ts';
import { LINK_PROTOCOL, type TrustedLink } from './ports.ts';
import type { PacketVector } from './vector.ts';

const NO_TARGET = verdictOf('no-target');

export interface SealedSenderOptions {
  readonly link: TrustedLink;
  readonly epoch: () => number;
  /** The key towards a target; undefined without a session: fail closed. */
  readonly sealerOf: (target: number) => LinkSealer | undefined;
}

/** The routing host's way to a target for packets that are not ESP (any more): sealed, since nothing inner crosses in clear. */
export class SealedSender {
  readonly #options: SealedSenderOptions;
  readonly #targets = new Set<number>();
  sent = 0;

  constructor(options: SealedSenderOptions) {
    this.#options = options;
  }

  /** Seals packet `i` for `target` in place; it goes out with the next `send`. */
  seal(vector: PacketVector, i: number, target: number, header: LinkHeader): Verdict {
    const { sealerOf, epoch } = this.#options;
    const sealer = sealerOf(target);
    if (sealer === undefined) return NO_TARGET;
    const verdict = sealer.seal(vector, i, header, epoch());
    if (verdict !== KEEP) return verdict;
    vector.target[i] = target;
    vector.linkProtocol[i] = LINK_PROTOCOL.SEALED;
    this.#targets.add(target);
    return KEEP;
  }

  /** Sends what `seal` has sealed in this vector. */
  send(vector: PacketVector): void {
    const { link, epoch } = this.#options;
    for (const target of this.#targets) this.sent += link.send(vector, target, epoch());
    this.#targets.clear();
  }
}
