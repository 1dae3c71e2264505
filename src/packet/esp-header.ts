import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { uint32 } from './bytes.ts';

/*
 * ESP (RFC 4303 section 2), big endian:
 *
 * |               Security Parameters Index (SPI)                 |   0
 * |                      Sequence Number (low half)               |   4
 * |    IV, payload, padding (0..255), pad length, next header     |   8
 * |           Integrity Check Value, length by algorithm          |
 *
 * In UDP (RFC 3948 section 2) it shares port 4500 with IKE, told apart by its first bytes.
 */
export const ESP_HEADER_BYTES = 8;
/** Pad length and next header. */
export const ESP_TRAILER_BYTES = 2;
/** SPIs up to here are reserved (section 2.1); 0 never goes on the wire. */
export const ESP_SPI_RESERVED_MAX = 255;

/** UDP port of IKE and ESP with NAT traversal (RFC 3948 section 2, RFC 7296 section 2.23). */
export const NAT_TRAVERSAL_PORT = 4500;

const TRUNCATED = verdictOf('truncated');
const NOT_ESP = verdictOf('not-esp');

/** What `parseEsp` found; reusable. */
export class EspHeader {
  spi = 0;
  /** The 32 bits on the wire; with ESN the high half is inferred (`ReplayWindow.inferHigh`). */
  sequence = 0;
}

/** Reads SPI and sequence number. `not-esp`: a reserved SPI. */
export function parseEsp(slab: Buffer, offset: number, length: number, out: EspHeader): Verdict {
  if (length < ESP_HEADER_BYTES) return TRUNCATED;
  const spi = uint32(slab, offset);
  if (spi <= ESP_SPI_RESERVED_MAX) return NOT_ESP;
  out.spi = spi;
  out.sequence = uint32(slab, offset + 4);
  return KEEP;
}

/** Writes SPI and the low half of the sequence number; returns the length (8). */
export function encodeEsp(slab: Buffer, offset: number, spi: number, sequence: number): number {
  slab.writeUInt32BE(spi, offset);
  slab.writeUInt32BE(sequence, offset + 4);
  return ESP_HEADER_BYTES;
}

/** What a datagram on port 4500 is. */
export type NatTraversalKind = 'esp' | 'ike' | 'keepalive' | 'neither';

/**
 * Tells ESP, IKE and keep-alive apart (RFC 3948 sections 2.2 to 2.4): four zero bytes are the non-ESP marker
 * of IKE, a single 0xff is a keep-alive, and ESP has a non-zero SPI.
 */
export function classifyNatTraversal(slab: Buffer, offset: number, length: number): NatTraversalKind {
  if (length === 1 && slab.readUInt8(offset) === 0xff) return 'keepalive';
  if (length < 4) return 'neither';
  if (slab.readUInt32BE(offset) === 0) return 'ike';
  return length >= ESP_HEADER_BYTES ? 'esp' : 'neither';
}
