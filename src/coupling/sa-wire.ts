import { z } from 'zod';
import { KeyMaterial } from '../base/key-material.ts';
import { ENCR_NULL } from '../ipsec/algorithms.ts';
import type { SecurityAssociation } from '../ipsec/sa.ts';
import { address, outer, rawBytes, saId, selector, spi, total, u32 } from './fields.ts';
import { KEY_MAX_BYTES, POLICY_KEY_MAX_CHARACTERS, SELECTORS_MAX } from './limits.ts';
import { text } from './fields.ts';

const limit = z.strictObject({ soft: total, hard: total });

/** IKEv2 transform id, 16 bits (RFC 7296 section 3.3.2). */
const transform = z.int().min(1).max(0xffff);

const integrityKey = z.strictObject({ transform, key: rawBytes(1, KEY_MAX_BYTES) });
/** NULL (RFC 2410), and nothing else, has a key of no bytes. */
const encryptionKey = z
  .strictObject({ transform, key: rawBytes(0, KEY_MAX_BYTES) })
  .refine(({ transform, key }) => (transform === ENCR_NULL) === (key.length === 0), 'length of the key');

/** A `SecurityAssociation` with bytes in place of `KeyMaterial`. */
export const saSchema = z.strictObject({
  id: saId,
  spi,
  direction: z.enum(['in', 'out']),
  mode: z.enum(['tunnel', 'transport']),
  reqid: u32,
  group: u32,
  outer,
  hasUdpEncapsulation: z.boolean(),
  hasEsn: z.boolean(),
  replayWindowPackets: u32,
  encryption: encryptionKey,
  integrity: integrityKey.exactOptional(),
  sourceSelectors: z.array(selector).max(SELECTORS_MAX),
  destinationSelectors: z.array(selector).max(SELECTORS_MAX),
  lifetime: z.strictObject({ bytes: limit, packets: limit, seconds: limit }),
  tfcBytes: u32,
  copy: z.strictObject({ df: z.boolean(), ecn: z.boolean(), dscp: z.boolean() }),
  dvipa: address,
});

export type WireSa = z.infer<typeof saSchema>;

/** The keys are not copied: the wire form aliases the `KeyMaterial` until it is encoded. */
export function fromSa(sa: SecurityAssociation): Record<string, unknown> {
  const { encryption, integrity, ...same } = sa;
  return {
    ...same,
    encryption: { transform: encryption.transform, key: encryption.key.reveal() },
    ...(integrity && { integrity: { transform: integrity.transform, key: integrity.key.reveal() } }),
  };
}

/** Copies the keys out of the frame. */
export function toSa(wire: WireSa): SecurityAssociation {
  const { encryption, integrity, ...same } = wire;
  return {
    ...same,
    encryption: { transform: encryption.transform, key: KeyMaterial.copyOf(encryption.key) },
    ...(integrity && {
      integrity: { transform: integrity.transform, key: KeyMaterial.copyOf(integrity.key) },
    }),
  };
}

/** An `OutboundPolicy`; `spi` absent: a trap. */
export const policySchema = z
  .strictObject({
    key: text(POLICY_KEY_MAX_CHARACTERS),
    source: selector,
    destination: selector,
    reqid: u32,
    group: u32,
    priority: u32,
    spi: spi.exactOptional(),
    peer: address,
  })
  .transform(({ spi, ...same }) => ({ ...same, spi }));
