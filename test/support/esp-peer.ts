import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';

/**
 * ESP as a peer of ours would write it, apart from src: RFC 4303 with AES-GCM-16 (RFC 4106) or AES-CBC with
 * HMAC-SHA2-256-128 (RFC 3602, RFC 4868), without ESN. One object is one SA, in one direction.
 */

export type EspSuite = 'aes128gcm16' | 'aes256gcm16' | 'aes128-sha256' | 'aes256-sha256';
export const ESP_SUITES: readonly EspSuite[] = [
  'aes128gcm16',
  'aes256gcm16',
  'aes128-sha256',
  'aes256-sha256',
];

const isGcm = (suite: EspSuite) => suite.endsWith('gcm16');
const bits = (suite: EspSuite) => (suite.startsWith('aes256') ? 256 : 128);

/** Key bytes that follow from the SPI: every SA has its own. GCM: key and salt. */
export function testKeys(
  suite: EspSuite,
  spi: number,
): { encryption: Buffer; integrity: Buffer | undefined } {
  const stream = (name: string) => createHash('sha512').update(`${name} ${suite} ${spi}`).digest();
  const encryption = stream('encryption').subarray(0, bits(suite) / 8 + (isGcm(suite) ? 4 : 0));
  return { encryption, integrity: isGcm(suite) ? undefined : stream('integrity').subarray(0, 32) };
}

export interface SealOptions {
  /** 4 = IPv4, 59 = dummy. */
  readonly nextHeader?: number;
  /** Padding bytes in place of 1, 2, 3 ... */
  readonly padding?: Uint8Array;
  readonly iv?: Buffer;
}

export interface Opened {
  readonly sequence: number;
  readonly iv: string;
  readonly nextHeader: number;
  readonly inner: Buffer;
}

export class EspPeer {
  readonly suite: EspSuite;
  readonly spi: number;
  sequence = 0;
  readonly #encryption: Buffer;
  readonly #integrity: Buffer;

  constructor(suite: EspSuite, spi: number) {
    this.suite = suite;
    this.spi = spi;
    const { encryption, integrity } = testKeys(suite, spi);
    this.#encryption = encryption;
    this.#integrity = integrity ?? Buffer.alloc(0);
  }

  /** Seals under the next number, or under `sequence`. */
  seal(inner: Uint8Array, sequence = ++this.sequence, options: SealOptions = {}): Buffer {
    const align = isGcm(this.suite) ? 4 : 16;
    const missing = (align - ((inner.length + 2) % align)) % align;
    const padding = options.padding ?? Uint8Array.from({ length: missing }, (_, i) => i + 1);
    const trailer = Buffer.from([padding.length, options.nextHeader ?? 4]);
    const plain = Buffer.concat([inner, padding, trailer]);
    const header = Buffer.alloc(8);
    header.writeUInt32BE(this.spi, 0);
    header.writeUInt32BE(sequence >>> 0, 4);
    const iv = options.iv ?? this.#iv(sequence);
    if (isGcm(this.suite)) {
      const { key, nonce } = this.#gcm(iv);
      const cipher = createCipheriv(`aes-${bits(this.suite)}-gcm` as 'aes-128-gcm', key, nonce);
      cipher.setAAD(header);
      const body = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([header, iv, body, cipher.getAuthTag()]);
    }
    const cipher = createCipheriv(`aes-${bits(this.suite)}-cbc`, this.#encryption, iv).setAutoPadding(false);
    const covered = Buffer.concat([header, iv, cipher.update(plain), cipher.final()]);
    return Buffer.concat([covered, this.#mac(covered)]);
  }

  /** What the packet says, or undefined: another SPI, or a wrong ICV. */
  open(esp: Buffer): Opened | undefined {
    if (esp.readUInt32BE(0) !== this.spi) return undefined;
    const ivEnd = 8 + (isGcm(this.suite) ? 8 : 16);
    const icv = esp.length - 16;
    const iv = esp.subarray(8, ivEnd);
    const plain = isGcm(this.suite) ? this.#openGcm(esp, iv, icv) : this.#openCbc(esp, iv, ivEnd, icv);
    if (plain === undefined) return undefined;
    const padding = plain.readUInt8(plain.length - 2);
    return {
      sequence: esp.readUInt32BE(4),
      iv: iv.toString('hex'),
      nextHeader: plain.readUInt8(plain.length - 1),
      inner: plain.subarray(0, plain.length - 2 - padding),
    };
  }

  #openGcm(esp: Buffer, iv: Buffer, icv: number): Buffer | undefined {
    const { key, nonce } = this.#gcm(iv);
    const decipher = createDecipheriv(`aes-${bits(this.suite)}-gcm` as 'aes-128-gcm', key, nonce);
    decipher.setAAD(esp.subarray(0, 8));
    decipher.setAuthTag(esp.subarray(icv));
    const plain = decipher.update(esp.subarray(16, icv));
    try {
      decipher.final();
      return plain;
    } catch {
      return undefined;
    }
  }

  #openCbc(esp: Buffer, iv: Buffer, ivEnd: number, icv: number): Buffer | undefined {
    if (!this.#mac(esp.subarray(0, icv)).equals(esp.subarray(icv))) return undefined;
    const decipher = createDecipheriv(`aes-${bits(this.suite)}-cbc`, this.#encryption, iv);
    decipher.setAutoPadding(false);
    return Buffer.concat([decipher.update(esp.subarray(ivEnd, icv)), decipher.final()]);
  }

  #gcm(iv: Buffer): { key: Buffer; nonce: Buffer } {
    const keyBytes = bits(this.suite) / 8;
    const salt = this.#encryption.subarray(keyBytes);
    return { key: this.#encryption.subarray(0, keyBytes), nonce: Buffer.concat([salt, iv]) };
  }

  #mac(covered: Buffer): Buffer {
    return createHmac('sha256', this.#integrity).update(covered).digest().subarray(0, 16);
  }

  #iv(sequence: number): Buffer {
    const digest = createHash('sha256').update(`iv ${this.spi} ${sequence}`).digest();
    return digest.subarray(0, isGcm(this.suite) ? 8 : 16);
  }
}

/** A peer's anti-replay window, as plain as can be: a set, and the highest number so far. */
export class PeerWindow {
  readonly #packets: number;
  readonly #seen = new Set<number>();
  #top = 0;
  /** Numbers refused: a repeat, or left of the window. */
  readonly refused: number[] = [];

  constructor(packets: number) {
    this.#packets = packets;
  }

  get accepted(): number {
    return this.#seen.size;
  }

  accept(sequence: number): boolean {
    if (sequence <= this.#top - this.#packets || this.#seen.has(sequence) || sequence === 0) {
      this.refused.push(sequence);
      return false;
    }
    this.#seen.add(sequence);
    this.#top = Math.max(this.#top, sequence);
    return true;
  }
}
