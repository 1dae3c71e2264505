import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ESP_HEADER_BYTES } from '../packet/esp-header.ts';
import type { SaMasker, StampBatch } from './packet-crypto.ts';
import { type StampKeys, StampMask } from './stamp-mask.ts';
import {
  encodeStampCheck,
  encodeStampHeader,
  STAMP_CIPHERTEXT_MAX,
  STAMP_HEADER_BYTES,
  STAMP_IV_BYTES,
} from './stamp-packet.ts';

const TOO_BIG = verdictOf('too-big');
const NO_NUMBER = verdictOf('no-number');

export interface StampSealerOptions extends StampKeys {
  /** Of the routing host that will stamp. A packet masked for one epoch is never masked again for another. */
  readonly epoch: number;
  /** The SA's group. */
  readonly group: number;
  readonly icvBytes: number;
}

/** The target's end of stamping, for one SA in one epoch. `PacketCrypto.sealForStamp` calls it: nothing else should. */
export class StampSealer implements SaMasker {
  readonly headerBytes = STAMP_HEADER_BYTES;
  readonly icvBytes: number;
  readonly epoch: number;
  readonly #group: number;
  readonly #mask: StampMask;

  constructor(options: StampSealerOptions) {
    this.icvBytes = options.icvBytes;
    this.epoch = options.epoch;
    this.#group = options.group;
    this.#mask = new StampMask(options, options.epoch, options.icvBytes);
  }

  get isUsable(): boolean {
    return this.#mask.isUsable;
  }

  /** Packet `i`, ESP sealed with number 0: masks its ICV in place and writes the stamp header in front. Once for each packet. */
  mask(packets: StampBatch, i: number): Verdict {
    if (!this.isUsable) return NO_NUMBER;
    const { slab } = packets;
    const esp = packets.offset[i] as number;
    const length = packets.length[i] as number;
    const start = esp - STAMP_HEADER_BYTES;
    const icv = esp + length - this.icvBytes;
    const ciphertextBytes = icv - esp - ESP_HEADER_BYTES - STAMP_IV_BYTES;
    if (start < 0 || ciphertextBytes < 1 || ciphertextBytes > STAMP_CIPHERTEXT_MAX) return TOO_BIG;
    this.#mask.apply(slab, esp, icv);
    encodeStampHeader(slab, start, this.#group, {
      trafficClass: packets.trafficClass[i] as number,
      hopLimit: packets.hopLimit[i] as number,
      dontFragment: packets.dontFragment[i] === 1,
    });
    encodeStampCheck(slab, start, this.#mask.check(slab, esp, icv));
    packets.offset[i] = start;
    packets.length[i] = length + STAMP_HEADER_BYTES;
    return KEEP;
  }

  /** The SA or the epoch is over. */
  close(): void {
    this.#mask.close();
  }
}
