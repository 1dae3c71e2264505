import { familyOf, parseAddress } from '../packet/address.ts';
import { lookupEncryption, lookupIntegrity } from './algorithms.ts';
import { formatSpi, type SecurityAssociation } from './sa.ts';

/**
 * An SA as one line of Wireshark's table `esp_sa` (Preferences > Protocols > ESP > ESP SAs). Columns, each in double
 * quotes: protocol, source, destination, SPI, encryption, key, authentication, key; newer versions also have the length of
 * the sequence number and its upper half, and fill in 32 bits where a line has none. Version 4.0 takes such a line as well and
 * leaves the last two out, so they are written only where they are needed, with ESN.
 */

/** Spelling of the algorithms. A version that does not know one skips the line, with a message. */
const ENCRYPTION: Readonly<Record<number, string>> = {
  11: 'NULL',
  12: 'AES-CBC [RFC3602]',
  13: 'AES-CTR [RFC3686]',
  18: 'AES-GCM with 8 octet ICV [RFC4106]',
  19: 'AES-GCM with 12 octet ICV [RFC4106]',
  20: 'AES-GCM with 16 octet ICV [RFC4106]',
  28: 'ChaCha20 with Poly1305 [RFC7634]', // known from 4.6 on
};

const INTEGRITY: Readonly<Record<number, string>> = {
  2: 'HMAC-SHA-1-96 [RFC2404]',
  12: 'HMAC-SHA-256-128 [RFC4868]',
  13: 'HMAC-SHA-384-192 [RFC4868]',
  14: 'HMAC-SHA-512-256 [RFC4868]',
};

/** What has no name there is skipped over by its length: decrypted, not checked. */
const UNCHECKED: Readonly<Record<number, string>> = { 12: 'ANY 96 bit authentication [no checking]' };

export type WiresharkLine =
  /** Ends with a line feed. Holds keys: the caller wipes it. */
  { readonly ok: true; readonly line: Buffer } | { readonly ok: false; readonly reason: string };

/**
 * The SA as a line, or why Wireshark cannot be told: one clause. `sequenceHigh` is the upper half of the numbers in
 * use now; Wireshark knows one for the whole SA. The source of an inbound SA is left open, so a peer that moves stays readable.
 */
export function wiresharkLine(sa: SecurityAssociation, sequenceHigh: number): WiresharkLine {
  const encryption = ENCRYPTION[sa.encryption.transform];
  if (encryption === undefined) {
    const name = lookupEncryption(sa.encryption.transform)?.name ?? `transform ${sa.encryption.transform}`;
    return { ok: false, reason: `Wireshark does not know ${name}` };
  }
  const integrity = integrityName(sa);
  if (integrity === undefined)
    return { ok: false, reason: 'Wireshark does not know its integrity algorithm' };
  const source = parseAddress(sa.outer.source);
  const destination = parseAddress(sa.outer.destination);
  if (source === undefined || destination === undefined) return { ok: false, reason: 'no outer addresses' };

  const isIpv4 = familyOf(destination) === 4;
  const line = new LineWriter();
  line.text(isIpv4 ? 'IPv4' : 'IPv6');
  line.text(sa.direction === 'in' ? '*' : sa.outer.source);
  line.text(sa.outer.destination);
  line.text(`0x${formatSpi(sa.spi)}`);
  line.text(encryption);
  line.key(sa.encryption.key.reveal());
  line.text(integrity);
  line.key(sa.integrity?.key.reveal());
  if (sa.hasEsn) {
    line.text('64-bit');
    line.text(`0x${formatSpi(sequenceHigh)}`);
  }
  return { ok: true, line: line.finish() };
}

function integrityName({ integrity }: SecurityAssociation): string | undefined {
  if (integrity === undefined) return 'NULL';
  const icvBytes = lookupIntegrity(integrity.transform)?.icvBytes;
  return INTEGRITY[integrity.transform] ?? (icvBytes === undefined ? undefined : UNCHECKED[icvBytes]);
}

/** Longer than any line: the longest texts and keys together are about 400 bytes. */
const LINE_BYTES = 1024;
const [COMMA, QUOTE, LINE_FEED] = [0x2c, 0x22, 0x0a];
const HEX = Buffer.from('0123456789abcdef');

/** Writes columns into one buffer: a key must not become a string, which nobody could wipe. */
class LineWriter {
  readonly #bytes = Buffer.alloc(LINE_BYTES);
  #at = 0;

  text(text: string): void {
    this.#open();
    this.#at += this.#bytes.write(text, this.#at, 'latin1');
    this.#put(QUOTE);
  }

  /** `0x` and the key in hexadecimal; no key: nothing between the quotes. */
  key(key: Buffer | undefined): void {
    this.#open();
    if (key !== undefined && key.length > 0) {
      this.#at += this.#bytes.write('0x', this.#at, 'latin1');
      for (const byte of key) {
        this.#put(HEX[byte >> 4] as number);
        this.#put(HEX[byte & 15] as number);
      }
    }
    this.#put(QUOTE);
  }

  finish(): Buffer {
    this.#put(LINE_FEED);
    return this.#bytes.subarray(0, this.#at);
  }

  #open(): void {
    if (this.#at > 0) this.#put(COMMA);
    this.#put(QUOTE);
  }

  #put(byte: number): void {
    this.#bytes[this.#at++] = byte;
  }
}
