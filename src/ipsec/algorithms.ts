/**
 * The algorithms that the data plane knows, one row each. Identifiers are IKEv2 transform ids (IANA
 * "IKEv2 Parameters": type 1 encryption, type 3 integrity). Another algorithm is another row here and,
 * if it is of a new kind, a branch in the `PacketCrypto` implementations and in `peek.ts`.
 */

export interface EncryptionAlgorithm {
  readonly transform: number;
  readonly name: string;
  /** `aead`: brings its own ICV. `cbc`: needs an integrity algorithm. */
  readonly kind: 'aead' | 'cbc';
  /** Permitted key lengths, salt not counted. */
  readonly keyBytes: readonly number[];
  /** Salt behind the key in the key material (RFC 4106 section 8.1), the first bytes of the nonce. */
  readonly saltBytes: number;
  /** IV as it stands in the packet. */
  readonly ivBytes: number;
  /** What padding aligns to: the block, but at least 4 (RFC 4303 section 2.4). */
  readonly alignBytes: number;
  /** ICV of an AEAD; 0 otherwise. */
  readonly icvBytes: number;
  /** How single blocks can be read: key stream block by block, or block and the one before. */
  readonly peek: 'ctr' | 'cbc';
  /** OpenSSL's name for a key of this many bits. */
  readonly cipherName: (keyBits: number) => string;
}

export interface IntegrityAlgorithm {
  readonly transform: number;
  readonly name: string;
  readonly keyBytes: number;
  /** The ICV is the MAC cut to this length. */
  readonly icvBytes: number;
  /** OpenSSL's name of the hash under HMAC. */
  readonly hashName: string;
}

export const ENCR_AES_CBC = 12;
export const ENCR_AES_GCM_16 = 20;
export const AUTH_HMAC_SHA2_256_128 = 12;
/** "No integrity algorithm": what goes with an AEAD. */
export const AUTH_NONE = 0;

const ENCRYPTION: readonly EncryptionAlgorithm[] = [
  {
    transform: ENCR_AES_CBC, // RFC 3602
    name: 'AES-CBC',
    kind: 'cbc',
    keyBytes: [16, 24, 32],
    saltBytes: 0,
    ivBytes: 16,
    alignBytes: 16,
    icvBytes: 0,
    peek: 'cbc',
    cipherName: (keyBits) => `aes-${keyBits}-cbc`,
  },
  {
    transform: ENCR_AES_GCM_16, // RFC 4106
    name: 'AES-GCM-16',
    kind: 'aead',
    keyBytes: [16, 24, 32],
    saltBytes: 4,
    ivBytes: 8,
    alignBytes: 4,
    icvBytes: 16,
    peek: 'ctr',
    cipherName: (keyBits) => `aes-${keyBits}-gcm`,
  },
];

const INTEGRITY: readonly IntegrityAlgorithm[] = [
  {
    transform: AUTH_HMAC_SHA2_256_128, // RFC 4868
    name: 'HMAC-SHA2-256-128',
    keyBytes: 32,
    icvBytes: 16,
    hashName: 'sha256',
  },
];

/** Names of what may be negotiated elsewhere, so that a refusal says more than a number. */
const OTHER_ENCRYPTION: Readonly<Record<number, string>> = {
  3: '3DES',
  11: 'NULL',
  13: 'AES-CTR',
  14: 'AES-CCM-8',
  15: 'AES-CCM-12',
  16: 'AES-CCM-16',
  18: 'AES-GCM-8',
  19: 'AES-GCM-12',
  21: 'NULL with AES-GMAC',
  23: 'CAMELLIA-CBC',
  28: 'CHACHA20-POLY1305',
  29: 'AES-CCM-8 with implicit IV',
  30: 'AES-GCM-16 with implicit IV',
  31: 'CHACHA20-POLY1305 with implicit IV',
};
const OTHER_INTEGRITY: Readonly<Record<number, string>> = {
  1: 'HMAC-MD5-96',
  2: 'HMAC-SHA1-96',
  5: 'AES-XCBC-96',
  8: 'AES-CMAC-96',
  13: 'HMAC-SHA2-384-192',
  14: 'HMAC-SHA2-512-256',
};

export function lookupEncryption(transform: number): EncryptionAlgorithm | undefined {
  return ENCRYPTION.find((row) => row.transform === transform);
}

export function lookupIntegrity(transform: number): IntegrityAlgorithm | undefined {
  return INTEGRITY.find((row) => row.transform === transform);
}

/** A transform and the length of its key material, salt included. */
export interface AlgorithmChoice {
  readonly transform: number;
  readonly keyMaterialBytes: number;
}

/** What one SA uses, checked to fit together. */
export interface EspSuite {
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm | undefined;
  /** Encryption key without salt. */
  readonly keyBytes: number;
  readonly icvBytes: number;
  /** OpenSSL's name of the cipher. */
  readonly cipherName: string;
}

export type Support =
  | { readonly isSupported: true; readonly suite: EspSuite }
  | { readonly isSupported: false; readonly reason: string };

function refuse(reason: string): Support {
  return { isSupported: false, reason };
}

/** Whether ESP can be done with this pair; the reason when not is one clause for a log line or an errmsg. */
export function supported(encr: AlgorithmChoice, integ?: AlgorithmChoice): Support {
  const encryption = lookupEncryption(encr.transform);
  if (encryption === undefined) {
    const name = OTHER_ENCRYPTION[encr.transform] ?? 'unknown';
    return refuse(`encryption transform ${encr.transform} (${name}) is not supported`);
  }
  const keyBytes = encr.keyMaterialBytes - encryption.saltBytes;
  if (!encryption.keyBytes.includes(keyBytes)) {
    return refuse(`${encryption.name} has no key of ${encr.keyMaterialBytes} bytes`);
  }
  const cipherName = encryption.cipherName(keyBytes * 8);
  const hasIntegrity = integ !== undefined && integ.transform !== AUTH_NONE;
  if (encryption.kind === 'aead') {
    if (hasIntegrity) return refuse(`${encryption.name} goes without an integrity algorithm`);
    return {
      isSupported: true,
      suite: { encryption, integrity: undefined, keyBytes, icvBytes: encryption.icvBytes, cipherName },
    };
  }
  if (!hasIntegrity) return refuse(`${encryption.name} needs an integrity algorithm`);
  const integrity = lookupIntegrity(integ.transform);
  if (integrity === undefined) {
    const name = OTHER_INTEGRITY[integ.transform] ?? 'unknown';
    return refuse(`integrity transform ${integ.transform} (${name}) is not supported`);
  }
  if (integ.keyMaterialBytes !== integrity.keyBytes) {
    return refuse(`${integrity.name} has no key of ${integ.keyMaterialBytes} bytes`);
  }
  return {
    isSupported: true,
    suite: { encryption, integrity, keyBytes, icvBytes: integrity.icvBytes, cipherName },
  };
}

/** Length of the ESP packet (SPI to ICV) around `plainBytes`: padding to the alignment and nothing more. */
export function sealedBytes(suite: EspSuite, plainBytes: number): number {
  const align = suite.encryption.alignBytes;
  const padded = Math.ceil((plainBytes + 2) / align) * align;
  return 8 + suite.encryption.ivBytes + padded + suite.icvBytes;
}

/** The longest plaintext whose ESP packet is at most `espBytes` long; negative if none is. */
export function plainBytesWithin(suite: EspSuite, espBytes: number): number {
  const align = suite.encryption.alignBytes;
  const room = espBytes - 8 - suite.encryption.ivBytes - suite.icvBytes;
  return Math.floor(room / align) * align - 2;
}
