/**
 * The algorithms that the data plane knows, one row each, and nowhere else. Identifiers are IKEv2 transform ids (IANA
 * "IKEv2 Parameters": type 1 encryption, type 3 integrity). The plugin's table (kernel_dvipa_check.c) admits the same;
 * test/ipsec/algorithms.test.ts compares the two.
 */

/** How single blocks of a packet can be read without the others. */
export type PeekMethod =
  /**
   * Key stream block k (from 0) is AES(lead | salt | IV | first + k), the counter in four bytes: GCM (SP 800-38D section 7.1:
   * counter 1 is the tag's), CTR (RFC 3686 section 4), CCM (RFC 4309 section 4: a flags byte leads, counter 0 is the tag's).
   */
  | { readonly method: 'counter'; readonly lead: readonly number[]; readonly first: number }
  /** The block and the one before. */
  | { readonly method: 'cbc' }
  /** Key stream block k of 64 bytes has the number first + k (RFC 8439 section 2.8: number 0 makes the tag's key). */
  | { readonly method: 'chacha20'; readonly first: number }
  /** Nothing is encrypted. */
  | { readonly method: 'clear' };

export interface EncryptionAlgorithm {
  readonly transform: number;
  readonly name: string;
  /**
   * `aead`: encrypts and brings its own ICV. `gmac`: brings its own ICV, encrypts nothing. `cipher` and `null` (which
   * encrypts nothing) need an integrity algorithm.
   */
  readonly kind: 'aead' | 'gmac' | 'cipher' | 'null';
  /** Permitted key lengths, salt not counted. */
  readonly keyBytes: readonly number[];
  /** Salt behind the key in the key material (RFC 4106 section 8.1 and the like), the first bytes of the nonce. */
  readonly saltBytes: number;
  /** IV as it stands in the packet. */
  readonly ivBytes: number;
  /** `numbered`: must never repeat under one key, sender id and counter (docs/outbound.md). `random`: unpredictable. */
  readonly iv: 'numbered' | 'random' | 'none';
  /** What padding aligns to: the block, but at least 4 (RFC 4303 section 2.4). */
  readonly alignBytes: number;
  /** ICV that comes with the algorithm; 0 if it needs an integrity algorithm. */
  readonly icvBytes: number;
  readonly peek: PeekMethod;
  /** A sealed packet can be given another number without its key (docs/outbound.md section 4). */
  readonly canStamp?: true;
  /** OpenSSL's name for a key of this many bits. */
  readonly cipherName: (keyBits: number) => string;
}

export interface IntegrityAlgorithm {
  readonly transform: number;
  readonly name: string;
  readonly keyBytes: number;
  /** The ICV is the MAC cut to this length. */
  readonly icvBytes: number;
  readonly mac: 'hmac' | 'xcbc' | 'cmac';
  /** OpenSSL's name of the hash under HMAC, else of the block cipher in CBC mode. */
  readonly primitive: string;
}

export const ENCR_NULL = 11;
export const ENCR_AES_CBC = 12;
export const ENCR_AES_GCM_16 = 20;
export const AUTH_HMAC_SHA2_256_128 = 12;
/** "No integrity algorithm": what goes with an AEAD. */
export const AUTH_NONE = 0;

const AES_KEYS = [16, 24, 32] as const;
/** What the counter modes have in common: an IV of 8 bytes, and no block to fill. */
const COUNTER_MODE = { ivBytes: 8, iv: 'numbered', alignBytes: 4 } as const;

function gcm(transform: number, icvBytes: number): EncryptionAlgorithm {
  return {
    transform,
    name: `AES-GCM-${icvBytes}`,
    kind: 'aead',
    keyBytes: AES_KEYS,
    saltBytes: 4,
    ...COUNTER_MODE,
    icvBytes,
    peek: { method: 'counter', lead: [], first: 2 },
    canStamp: true,
    cipherName: (keyBits) => `aes-${keyBits}-gcm`,
  };
}

function ccm(transform: number, icvBytes: number): EncryptionAlgorithm {
  return {
    transform,
    name: `AES-CCM-${icvBytes}`,
    kind: 'aead',
    keyBytes: AES_KEYS,
    saltBytes: 3,
    ...COUNTER_MODE,
    icvBytes,
    peek: { method: 'counter', lead: [3], first: 1 }, // flags 3: the counter has 3 + 1 bytes
    cipherName: (keyBits) => `aes-${keyBits}-ccm`,
  };
}

const ENCRYPTION: readonly EncryptionAlgorithm[] = [
  {
    transform: ENCR_NULL, // RFC 2410
    name: 'NULL',
    kind: 'null',
    keyBytes: [0],
    saltBytes: 0,
    ivBytes: 0,
    iv: 'none',
    alignBytes: 4,
    icvBytes: 0,
    peek: { method: 'clear' },
    cipherName: () => '',
  },
  {
    transform: ENCR_AES_CBC, // RFC 3602
    name: 'AES-CBC',
    kind: 'cipher',
    keyBytes: AES_KEYS,
    saltBytes: 0,
    ivBytes: 16,
    iv: 'random',
    alignBytes: 16,
    icvBytes: 0,
    peek: { method: 'cbc' },
    cipherName: (keyBits) => `aes-${keyBits}-cbc`,
  },
  {
    transform: 13, // RFC 3686
    name: 'AES-CTR',
    kind: 'cipher',
    keyBytes: AES_KEYS,
    saltBytes: 4,
    ...COUNTER_MODE,
    icvBytes: 0,
    peek: { method: 'counter', lead: [], first: 1 },
    cipherName: (keyBits) => `aes-${keyBits}-ctr`,
  },
  ccm(14, 8), // RFC 4309
  ccm(15, 12),
  ccm(16, 16),
  gcm(18, 8), // RFC 4106
  gcm(19, 12),
  gcm(ENCR_AES_GCM_16, 16),
  {
    transform: 21, // RFC 4543
    name: 'NULL-AES-GMAC',
    kind: 'gmac',
    keyBytes: AES_KEYS,
    saltBytes: 4,
    ...COUNTER_MODE,
    icvBytes: 16,
    peek: { method: 'clear' },
    cipherName: (keyBits) => `aes-${keyBits}-gcm`,
  },
  {
    transform: 28, // RFC 7634
    name: 'CHACHA20-POLY1305',
    kind: 'aead',
    keyBytes: [32],
    saltBytes: 4,
    ...COUNTER_MODE,
    icvBytes: 16,
    peek: { method: 'chacha20', first: 1 },
    cipherName: () => 'chacha20-poly1305',
  },
];

const INTEGRITY: readonly IntegrityAlgorithm[] = [
  { transform: 2, name: 'HMAC-SHA1-96', keyBytes: 20, icvBytes: 12, mac: 'hmac', primitive: 'sha1' }, // RFC 2404
  { transform: 5, name: 'AES-XCBC-96', keyBytes: 16, icvBytes: 12, mac: 'xcbc', primitive: 'aes-128-cbc' }, // RFC 3566
  { transform: 8, name: 'AES-CMAC-96', keyBytes: 16, icvBytes: 12, mac: 'cmac', primitive: 'aes-128-cbc' }, // RFC 4494
  {
    transform: AUTH_HMAC_SHA2_256_128, // RFC 4868, and the next two
    name: 'HMAC-SHA2-256-128',
    keyBytes: 32,
    icvBytes: 16,
    mac: 'hmac',
    primitive: 'sha256',
  },
  { transform: 13, name: 'HMAC-SHA2-384-192', keyBytes: 48, icvBytes: 24, mac: 'hmac', primitive: 'sha384' },
  { transform: 14, name: 'HMAC-SHA2-512-256', keyBytes: 64, icvBytes: 32, mac: 'hmac', primitive: 'sha512' },
];

/** Names of what may be negotiated elsewhere, so that a refusal says more than a number. */
const OTHER_ENCRYPTION: Readonly<Record<number, string>> = {
  3: '3DES',
  23: 'CAMELLIA-CBC',
  29: 'AES-CCM-8 with implicit IV',
  30: 'AES-GCM-16 with implicit IV',
  31: 'CHACHA20-POLY1305 with implicit IV',
};
const OTHER_INTEGRITY: Readonly<Record<number, string>> = { 1: 'HMAC-MD5-96' };

/** All rows: for tests, which must not miss one. */
export function knownAlgorithms(): {
  readonly encryption: readonly EncryptionAlgorithm[];
  readonly integrity: readonly IntegrityAlgorithm[];
} {
  return { encryption: ENCRYPTION, integrity: INTEGRITY };
}

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
  /** OpenSSL's name of the cipher; empty if nothing is encrypted. */
  readonly cipherName: string;
}

export type Support =
  | { readonly isSupported: true; readonly suite: EspSuite }
  | { readonly isSupported: false; readonly reason: string };

function refuse(reason: string): Support {
  return { isSupported: false, reason };
}

/** The suites that were asked for, one of each: there may be many SAs of one. */
const suites = new Map<string, EspSuite>();

function suiteOf(
  encryption: EncryptionAlgorithm,
  integrity: IntegrityAlgorithm | undefined,
  keyBytes: number,
) {
  const name = `${encryption.name} ${keyBytes} ${integrity?.name}`;
  const known = suites.get(name);
  if (known !== undefined) return known;
  const icvBytes = integrity?.icvBytes ?? encryption.icvBytes;
  const suite = {
    encryption,
    integrity,
    keyBytes,
    icvBytes,
    cipherName: encryption.cipherName(keyBytes * 8),
  };
  suites.set(name, suite);
  return suite;
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
  const hasIntegrity = integ !== undefined && integ.transform !== AUTH_NONE;
  if (encryption.icvBytes > 0) {
    if (hasIntegrity) return refuse(`${encryption.name} goes without an integrity algorithm`);
    return { isSupported: true, suite: suiteOf(encryption, undefined, keyBytes) };
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
  return { isSupported: true, suite: suiteOf(encryption, integrity, keyBytes) };
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
