import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { ESP_HEADER_BYTES, ESP_TRAILER_BYTES } from '../packet/esp-header.ts';

/*
 * A packet on its way from a target to the routing host, to be stamped with a sequence number. Big endian:
 *
 * |    Version    |     Flags     | Traffic class |   Hop limit   |   0
 * |                           SA group                            |   4
 * |                         Check (64 bits)                       |   8
 * |               Security Parameters Index (SPI)                 |  16   from here on ESP ...
 * |                    Sequence number: zero                      |  20
 * |      Sender id (16)       |          Counter (48)             |  24   (the IV)
 * |                          Ciphertext                           |  32
 * |               Masked ICV, 8, 12 or 16 bytes                   |       ... whose size it keeps
 *
 * Group and SPI name the SA, since SPIs are the peers' choice and two may choose one. The group is not in the check: it
 * chooses the key that the check is made with, so a changed one finds another key, or none. Nor is the ciphertext, whose
 * length is: what was changed there is stamped, and refused by the peer (the ICV covers it).
 * The epoch is not in the packet: it is the GRE key.
 *
 * Flags (1: don't fragment), traffic class and hop limit are the inner packet's: hints for the outer header, which the stamper makes
 * and could not make without them. The check covers them.
 */
export const STAMP_HEADER_BYTES = 16;
const VERSION = 1;
const FLAGS_AT = 1;
const TRAFFIC_CLASS_AT = 2;
const HOP_LIMIT_AT = 3;
const CHECK_AT = 8;
/** Of the flags. */
const DONT_FRAGMENT = 1;
export const STAMP_CHECK_BYTES = 8;
export const STAMP_IV_BYTES = 8;
const ESP_BYTES_MIN = ESP_HEADER_BYTES + STAMP_IV_BYTES + ESP_TRAILER_BYTES + 8;
/** The check has 16 bits for it. */
export const STAMP_CIPHERTEXT_MAX = 0xffff;

const MALFORMED = verdictOf('stamp-malformed');
const TWO_32 = 0x1_0000_0000;

/** What a packet to be stamped says of itself. Reusable. */
export class StampHeader {
  /** With `spi`: which SA. */
  group = 0;
  spi = 0;
  senderId = 0;
  /** Of the sender's packets on this SA; exact to 2^48. */
  counter = 0;
  trafficClass = 0;
  hopLimit = 0;
  dontFragment = false;
}

/** What the outer header takes from the inner one. */
export type StampHints = Pick<StampHeader, 'trafficClass' | 'hopLimit' | 'dontFragment'>;

/** Reads what stands in front of the ciphertext, before anything is verified. `stamp-malformed`: no packet to be stamped. */
export function parseStampHeader(slab: Buffer, offset: number, length: number, out: StampHeader): Verdict {
  if (length < STAMP_HEADER_BYTES + ESP_BYTES_MIN || offset + length > slab.length) return MALFORMED;
  const flags = slab[offset + FLAGS_AT] as number;
  if (slab[offset] !== VERSION || (flags & ~DONT_FRAGMENT) !== 0) return MALFORMED;
  const esp = offset + STAMP_HEADER_BYTES;
  const iv = esp + ESP_HEADER_BYTES;
  if (slab.readUInt32BE(esp + 4) !== 0) return MALFORMED;
  out.group = slab.readUInt32BE(offset + 4);
  out.spi = slab.readUInt32BE(esp);
  out.senderId = slab.readUInt16BE(iv);
  out.counter = readStampCounter(slab, offset);
  out.dontFragment = flags === DONT_FRAGMENT;
  out.trafficClass = slab[offset + TRAFFIC_CLASS_AT] as number;
  out.hopLimit = slab[offset + HOP_LIMIT_AT] as number;
  return out.senderId === 0 || out.counter === 0 ? MALFORMED : KEEP;
}

/** The sender's counter in a packet whose header was read before. */
export function readStampCounter(slab: Buffer, offset: number): number {
  const iv = offset + STAMP_HEADER_BYTES + ESP_HEADER_BYTES;
  return slab.readUInt16BE(iv + 2) * TWO_32 + slab.readUInt32BE(iv + 4);
}

/** Writes the header at `offset`, in front of an ESP packet, but for the check. */
export function encodeStampHeader(slab: Buffer, offset: number, group: number, hints: StampHints): void {
  slab[offset] = VERSION;
  slab[offset + FLAGS_AT] = hints.dontFragment ? DONT_FRAGMENT : 0;
  slab[offset + TRAFFIC_CLASS_AT] = hints.trafficClass;
  slab[offset + HOP_LIMIT_AT] = hints.hopLimit;
  slab.writeUInt32BE(group, offset + 4);
}

export function encodeStampCheck(slab: Buffer, offset: number, check: Buffer): void {
  check.copy(slab, offset + CHECK_AT, 0, STAMP_CHECK_BYTES);
}

/** The check that a packet carries, into `out`. */
export function readStampCheck(slab: Buffer, offset: number, out: Buffer): void {
  slab.copy(out, 0, offset + CHECK_AT, offset + CHECK_AT + STAMP_CHECK_BYTES);
}
