import { timingSafeEqual } from 'node:crypto';
import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ESP_HEADER_BYTES } from '../packet/esp-header.ts';
import { type EspSuite, lookupEncryption, supported } from './algorithms.ts';
import { GcmCorrection } from './gcm-correction.ts';
import type { LinkPackets } from './link-cipher.ts';
import type { EspKeys } from './packet-crypto.ts';
import { type StampKeys, StampMask } from './stamp-mask.ts';
import {
  parseStampHeader,
  readStampCheck,
  STAMP_CHECK_BYTES,
  STAMP_CIPHERTEXT_MAX,
  STAMP_HEADER_BYTES,
  STAMP_IV_BYTES,
  StampHeader,
} from './stamp-packet.ts';
import { StampWindows } from './stamp-window.ts';

const MALFORMED = verdictOf('stamp-malformed');
const EPOCH = verdictOf('stamp-epoch');
const CHECK = verdictOf('stamp-check');
const SENDER = verdictOf('stamp-sender');
const REPEAT = verdictOf('stamp-repeat');
const NO_NUMBER = verdictOf('no-number');

/** Can sealed packets of this SA be given another number? AES-GCM only (RFC 4106). */
export function canStamp({ encryption }: { readonly encryption: { readonly transform: number } }): boolean {
  return lookupEncryption(encryption.transform)?.canStamp === true;
}

export interface StamperOptions extends StampKeys {
  /** This routing host's own. */
  readonly epoch: number;
  readonly sa: EspKeys & { readonly group: number };
}

/**
 * The routing host's end of stamping, for one SA. Two steps, since a packet may wait for its number in between: `accept`, once for each packet
 * that comes, and `stamp`, once for each that was accepted. Both keep a window, so that whatever the caller does, no IV leaves twice: two tags
 * under one IV give the hash key away, and with it the power to forge.
 */
export class Stamper {
  readonly #sa: StamperOptions['sa'];
  readonly #epoch: number;
  readonly #icvBytes: number;
  readonly #mask: StampMask;
  readonly #correction: GcmCorrection;
  readonly #accepted = new StampWindows();
  readonly #stamped = new StampWindows();
  readonly #header = new StampHeader();
  readonly #carried = Buffer.alloc(STAMP_CHECK_BYTES);
  readonly #expected = Buffer.alloc(STAMP_CHECK_BYTES);
  readonly #tag = new Int32Array(4);
  /** Where the ICV of the packet that was read begins. */
  #icv = 0;

  /** Throws unless `canStamp(sa)` and the keys fit. */
  constructor(options: StamperOptions) {
    const { sa, epoch } = options;
    const suite = stampedSuite(sa);
    this.#sa = sa;
    this.#epoch = epoch;
    this.#icvBytes = suite.icvBytes;
    this.#mask = new StampMask(options, epoch, suite.icvBytes);
    this.#correction = new GcmCorrection(sa.encryption.key.reveal().subarray(0, suite.keyBytes), sa.hasEsn);
  }

  /**
   * May packet `i`, which came under `epoch`, be stamped? `senderId` is the id that the target it came from has on this SA, 0 if it has none.
   * KEEP: yes, and the same packet will not be accepted again. It stays as it is.
   */
  accept(packets: LinkPackets, i: number, epoch: number, senderId: number): Verdict {
    const unfit = this.#read(packets, i);
    if (unfit !== KEEP) return unfit;
    if (epoch !== this.#epoch) return EPOCH;
    if (!this.#isOurs || !this.#hasRightCheck(packets, i)) return CHECK;
    const { senderId: claimed, counter } = this.#header;
    if (claimed !== senderId) return SENDER;
    return this.#accepted.mark(claimed, counter) ? KEEP : REPEAT;
  }

  /**
   * Gives the accepted packet `i` its number: offset and length become those of the ESP packet for the peer. `stamp-repeat` if it had one
   * already. The number is used up either way.
   */
  stamp(packets: LinkPackets, i: number, sequenceHigh: number, sequenceLow: number): Verdict {
    const unfit = this.#read(packets, i);
    if (unfit !== KEEP) return unfit;
    if (!this.#isOurs) return CHECK;
    if ((sequenceHigh === 0 && sequenceLow === 0) || (sequenceHigh !== 0 && !this.#sa.hasEsn))
      return NO_NUMBER;
    const { senderId, counter } = this.#header;
    if (!this.#stamped.mark(senderId, counter)) return REPEAT;
    const { slab } = packets;
    const esp = (packets.offset[i] as number) + STAMP_HEADER_BYTES;
    const ciphertextBytes = this.#icv - esp - ESP_HEADER_BYTES - STAMP_IV_BYTES;
    this.#mask.apply(slab, esp, this.#icv);
    this.#correction.correct(sequenceHigh, sequenceLow, Math.ceil(ciphertextBytes / 16), this.#tag);
    for (let at = 0; at < this.#icvBytes; at += 4) {
      const word = slab.readUInt32BE(this.#icv + at) ^ (this.#tag[at >>> 2] as number);
      slab.writeInt32BE(word, this.#icv + at);
    }
    slab.writeUInt32BE(sequenceLow, esp + 4);
    packets.offset[i] = esp;
    packets.length[i] = (packets.length[i] as number) - STAMP_HEADER_BYTES;
    return KEEP;
  }

  /** The SA is gone: wipes what was made of its key. The keys themselves stay the owner's. */
  close(): void {
    this.#correction.wipe();
    this.#mask.close();
  }

  /** Reads the header of packet `i` and finds its ICV. */
  #read(packets: LinkPackets, i: number): Verdict {
    const offset = packets.offset[i] as number;
    const length = packets.length[i] as number;
    const malformed = parseStampHeader(packets.slab, offset, length, this.#header);
    if (malformed !== KEEP) return malformed;
    this.#icv = offset + length - this.#icvBytes;
    const ciphertextBytes = this.#icv - offset - STAMP_HEADER_BYTES - ESP_HEADER_BYTES - STAMP_IV_BYTES;
    return ciphertextBytes < 1 || ciphertextBytes > STAMP_CIPHERTEXT_MAX ? MALFORMED : KEEP;
  }

  /** For this SA, with keys that are still there. */
  get #isOurs(): boolean {
    const { spi, group, encryption } = this.#sa;
    return (
      this.#header.spi === spi &&
      this.#header.group === group &&
      this.#mask.isUsable &&
      !encryption.key.isWiped
    );
  }

  #hasRightCheck({ slab, offset }: LinkPackets, i: number): boolean {
    const start = offset[i] as number;
    readStampCheck(slab, start, this.#carried);
    this.#mask.check(slab, start + STAMP_HEADER_BYTES, this.#icv).copy(this.#expected);
    return timingSafeEqual(this.#carried, this.#expected);
  }
}

/** The algorithms of an SA that can be stamped; throws for others. */
export function stampedSuite(sa: EspKeys): EspSuite {
  const { transform, key } = sa.encryption;
  if (!canStamp(sa)) throw new Error(`packets of encryption transform ${transform} cannot be stamped`);
  const result = supported({ transform, keyMaterialBytes: key.lengthBytes });
  if (!result.isSupported) throw new Error(result.reason);
  return result.suite;
}
