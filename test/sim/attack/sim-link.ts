import { KEEP } from '../../../src/base/verdict.ts';
import type { TrustedLink } from '../../../src/dataplane/ports.ts';
import type { PacketVector } from '../../../src/dataplane/vector.ts';

/** One packet on the trusted link. */
export interface OnLink {
  readonly target: number;
  readonly protocol: number;
  readonly epoch: number;
  readonly dispatch: number;
  readonly bytes: Buffer;
}

/** The routing host's end of the trusted link. */
export class SimLink implements TrustedLink {
  readonly #carry: (packet: OnLink) => void;

  constructor(carry: (packet: OnLink) => void) {
    this.#carry = carry;
  }

  send(vector: PacketVector, target: number, epoch: number): number {
    let sent = 0;
    for (let i = 0; i < vector.count; i++) {
      if (vector.verdict[i] !== KEEP || vector.target[i] !== target) continue;
      const dispatch = vector.dispatch[i] as number;
      const protocol = vector.linkProtocol[i] as number;
      this.#carry({ target, protocol, epoch, dispatch, bytes: Buffer.from(vector.packet(i)) });
      sent++;
    }
    return sent;
  }

  setPeer(): void {}
  onReceive(): void {}
  async close(): Promise<void> {}
}
