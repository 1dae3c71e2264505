import type { KeyMaterial, KeyUser } from '../base/key-material.ts';
import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { type EspSuite, supported } from '../ipsec/algorithms.ts';
import type {
  CryptoBatch,
  EspKeys,
  PacketCrypto,
  StampBatch,
  StampMaskBatch,
  StampMasker,
} from '../ipsec/packet-crypto.ts';
import { ESP_HEADER_BYTES } from '../packet/esp-header.ts';
import type { Crew } from './crew.ts';
import { type NativeSas, nativeCrypto } from './native-crypto.ts';

const NO_NUMBER = verdictOf('no-number');
const TOO_BIG = verdictOf('too-big');
const UNKNOWN_SPI = verdictOf('unknown-spi');

/** In the addon's order (`verdict_name_t`). */
const VERDICTS = Uint8Array.from(
  [
    'unknown-spi',
    'truncated',
    'malformed',
    'icv',
    'padding',
    'dummy',
    'no-number',
    'too-big',
    'send-failed', // the library failed: never seen
  ] as const,
  verdictOf,
);
const KINDS = ['aead', 'gmac', 'cipher', 'null'] as const;
const IVS = ['numbered', 'random', 'none'] as const;
const MACS = ['none', 'hmac', 'xcbc', 'cmac'] as const;
const DRAWN_IV_BYTES = 16;
const NOTHING = Buffer.alloc(0);

export interface EspNativeCryptoOptions {
  /** `ipsec-mb` for what it has, OpenSSL for the rest; it must be there (`crypto-library.ts`). */
  readonly library: 'openssl' | 'ipsec-mb';
  /** Unpredictable bytes for CBC IVs (RFC 3602 section 3); asked once a vector. */
  readonly randomBytes: (bytes: number) => Buffer;
  /** Who shares the packets of a vector; without one the caller does all. */
  readonly crew?: Crew | undefined;
}

/**
 * ESP by the addon packet-crypto: contexts with their key schedules are kept for each SA, and a call does a whole vector.
 * What it makes of a packet is what `EspNodeCrypto` makes of it.
 */
export class EspNativeCrypto implements PacketCrypto {
  readonly #native = nativeCrypto();
  readonly #sas: NativeSas;
  readonly #randomBytes: (bytes: number) => Buffer;
  /** By slot. */
  readonly #installed: (Installed | undefined)[] = [];
  /** SAs whose IVs are drawn. */
  #drawing = 0;
  #opened = 0;

  constructor(options: EspNativeCryptoOptions) {
    this.#sas = this.#native.create(options.library === 'ipsec-mb', VERDICTS, options.crew?.handle);
    this.#randomBytes = options.randomBytes;
  }

  get opened(): number {
    return this.#opened;
  }

  install(saSlot: number, keys: EspKeys): void {
    const { encryption, integrity } = keys;
    const result = supported(choiceOf(encryption), integrity && choiceOf(integrity));
    if (!result.isSupported) throw new Error(result.reason);
    const { suite } = result;
    this.#native.install(
      this.#sas,
      saSlot,
      suiteNumbers(keys, suite),
      suite.cipherName,
      suite.integrity?.primitive ?? '',
      encryption.key.reveal(),
      integrity?.key.reveal() ?? NOTHING,
    );
    this.#forget(saSlot);
    this.#installed[saSlot] = new Installed(this, saSlot, keys, suite);
    if (suite.encryption.iv === 'random') this.#drawing++;
  }

  remove(saSlot: number): void {
    if (this.#forget(saSlot)) this.#native.remove(this.#sas, saSlot);
  }

  open(batch: CryptoBatch): void {
    this.#opened += this.#native.open(
      this.#sas,
      batch.slab,
      batch.offset,
      batch.length,
      batch.saSlot,
      batch.sequenceHigh,
      batch.sequenceLow,
      batch.nextHeader,
      batch.verdict,
      batch.count,
    );
  }

  seal(batch: CryptoBatch): void {
    const random = this.#drawing > 0 ? this.#randomBytes(batch.count * DRAWN_IV_BYTES) : NOTHING;
    this.#seal(batch, true, random);
  }

  sealForStamp(batch: StampBatch, maskerOf: (saSlot: number) => StampMasker | undefined): void {
    const maskers = new Set<StampMaskBatch | undefined>();
    for (let i = 0; i < batch.count; i++) {
      if (batch.verdict[i] !== KEEP) continue;
      const masker = maskerOf(batch.saSlot[i] as number);
      batch.verdict[i] = this.#stampable(batch, i, masker);
      if (batch.verdict[i] === KEEP) maskers.add(masker?.together);
    }
    const [together] = maskers.size === 1 ? maskers : [];
    let masked = 0;
    try {
      this.#seal(batch, false, NOTHING);
      if (together !== undefined) {
        together.mask(batch);
        masked = batch.count;
      }
      for (; masked < batch.count; masked++) maskOne(batch, masked, maskerOf);
    } finally {
      // Whatever happened: what has number 0 and no mask must not be there.
      for (let i = masked; i < batch.count; i++) if (batch.verdict[i] === KEEP) wipe(batch, i);
    }
  }

  #seal(batch: CryptoBatch, isNumbered: boolean, random: Uint8Array): void {
    this.#native.seal(
      this.#sas,
      batch.slab,
      batch.offset,
      batch.length,
      batch.saSlot,
      batch.sequenceHigh,
      batch.sequenceLow,
      batch.ivHigh,
      batch.ivLow,
      batch.nextHeader,
      batch.verdict,
      batch.count,
      isNumbered,
      random,
    );
  }

  /** Whether packet `i` may be sealed with number 0: there is room and a mask for it. */
  #stampable(batch: StampBatch, i: number, masker: StampMasker | undefined): Verdict {
    const suite = this.#installed[batch.saSlot[i] as number]?.suite;
    if (suite === undefined) return UNKNOWN_SPI;
    const { canStamp, ivBytes } = suite.encryption;
    if (canStamp !== true || masker?.isUsable !== true || masker.icvBytes !== suite.icvBytes)
      return NO_NUMBER;
    const headroom = masker.headerBytes + ESP_HEADER_BYTES + ivBytes;
    return (batch.offset[i] as number) < headroom ? TOO_BIG : KEEP;
  }

  #forget(saSlot: number): boolean {
    const installed = this.#installed[saSlot];
    if (installed === undefined) return false;
    installed.release();
    this.#installed[saSlot] = undefined;
    if (installed.suite.encryption.iv === 'random') this.#drawing--;
    return true;
  }
}

/** The contexts of a slot go with the keys that they were made from, whoever wipes one. */
class Installed implements KeyUser {
  readonly suite: EspSuite;
  readonly #owner: EspNativeCrypto;
  readonly #saSlot: number;
  readonly #keys: EspKeys;

  constructor(owner: EspNativeCrypto, saSlot: number, keys: EspKeys, suite: EspSuite) {
    this.suite = suite;
    this.#owner = owner;
    this.#saSlot = saSlot;
    this.#keys = keys;
    keys.encryption.key.addUser(this);
    keys.integrity?.key.addUser(this);
  }

  keyWiped(): void {
    this.#owner.remove(this.#saSlot);
  }

  release(): void {
    this.#keys.encryption.key.removeUser(this);
    this.#keys.integrity?.key.removeUser(this);
  }
}

function choiceOf({ transform, key }: { readonly transform: number; readonly key: KeyMaterial }) {
  return { transform, keyMaterialBytes: key.lengthBytes };
}

/** The suite as the addon takes it: `SUITE_*` in table.c. */
function suiteNumbers(
  { spi, hasEsn }: EspKeys,
  { encryption, integrity, keyBytes, icvBytes }: EspSuite,
): Uint32Array {
  return Uint32Array.of(
    spi,
    hasEsn ? 1 : 0,
    KINDS.indexOf(encryption.kind),
    IVS.indexOf(encryption.iv),
    encryption.ivBytes,
    encryption.alignBytes,
    icvBytes,
    MACS.indexOf(integrity?.mac ?? 'none'),
    keyBytes,
  );
}

/** Masks packet `i`, just sealed with number 0. What could not be masked is wiped. */
function maskOne(batch: StampBatch, i: number, maskerOf: (saSlot: number) => StampMasker | undefined): void {
  if (batch.verdict[i] !== KEEP) return;
  const masked = maskerOf(batch.saSlot[i] as number)?.mask(batch, i) ?? NO_NUMBER;
  if (masked !== KEEP) wipe(batch, i);
  batch.verdict[i] = masked;
}

function wipe({ slab, offset, length }: StampBatch, i: number): void {
  const start = offset[i] as number;
  slab.fill(0, start, start + (length[i] as number));
}
