import { z } from 'zod';
import type { SaId, Spi } from '../ipsec/sa.ts';
import { compareAddressBytes, type TrafficSelector } from '../ipsec/traffic-selector.ts';
import { BITMAP_MAX_BYTES, HOST_MAX_CHARACTERS, LEASE_MAX_NUMBERS } from './limits.ts';

/** Building blocks of the schemas. All objects are strict: an unknown field is an error. */

const U64_MAX = (1n << 64n) - 1n;

export const u16 = z.int().min(0).max(0xffff);
export const u32 = z.int().min(0).max(0xffff_ffff);
export const u64 = z.bigint().min(0n).max(U64_MAX);
/** A byte, packet or millisecond total, exact: at most 2^53 - 1. */
export const total = z.int().min(0);
/** A share of a 64-bit number space. */
export const count = z.int().min(1).max(LEASE_MAX_NUMBERS);
export const address = z.union([z.ipv4(), z.ipv6()]);
export const network = z.union([z.cidrv4(), z.cidrv6()]);
export const nothing = z.strictObject({});

/** Host names as in the certificates: lower case DNS labels. */
export const host = z
  .string()
  .max(HOST_MAX_CHARACTERS)
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/);

/** Printable ASCII: nothing that a log or a terminal would obey. */
export function text(maxCharacters: number) {
  return z
    .string()
    .max(maxCharacters)
    .regex(/^[\x20-\x7e]*$/);
}

export const saId = z
  .string()
  .regex(/^[0-9a-f]{16}:(0|[1-9][0-9]{0,19})$/)
  .transform((id) => id as SaId);

/** RFC 4303 section 2.1: 0..255 are reserved. */
export const spi = z
  .int()
  .min(256)
  .max(0xffff_ffff)
  .transform((number) => number as Spi);

/** Bytes that are not secret, copied out of the frame. */
export function bytes(minBytes: number, maxBytes: number) {
  return rawBytes(minBytes, maxBytes).transform((view): Uint8Array => Uint8Array.from(view));
}

/** Bytes of a key, still in the frame (and wiped with it): make `KeyMaterial` of them at once. */
export function rawBytes(minBytes: number, maxBytes: number) {
  return z
    .instanceof(Uint8Array)
    .refine((view) => view.length >= minBytes && view.length <= maxBytes, 'length in bytes');
}

export const window = z.strictObject({ top: u64, bitmap: bytes(0, BITMAP_MAX_BYTES) });

export const selector = z
  .strictObject({
    family: z.union([z.literal(4), z.literal(6)]),
    from: bytes(4, 16),
    to: bytes(4, 16),
    protocol: z.int().min(0).max(255),
    fromPort: u16,
    toPort: u16,
  })
  .refine(isSelector);

function isSelector({ family, from, to }: TrafficSelector): boolean {
  const lengthBytes = family === 4 ? 4 : 16;
  return from.length === lengthBytes && to.length === lengthBytes && compareAddressBytes(from, to) <= 0;
}

/** A connection at a target. */
export const flow = z.strictObject({
  dvipa: address,
  group: u32,
  protocol: z.int().min(0).max(255),
  source: address,
  sourcePort: u16,
  destinationPort: u16,
});

/** RFC 3948 ports in packet direction; both 0 without encapsulation. */
export const outer = z.strictObject({
  source: address,
  destination: address,
  sourcePort: u16,
  destinationPort: u16,
});
