import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import {
  type EspSuite,
  knownAlgorithms,
  plainBytesWithin,
  sealedBytes,
  supported,
} from '../../src/ipsec/algorithms.ts';

const GCM = 20;
const CBC = 12;
const SHA256 = 12;
const choice = (transform: number, keyMaterialBytes: number) => ({ transform, keyMaterialBytes });

function suiteOf(...choices: Parameters<typeof supported>): EspSuite {
  const result = supported(...choices);
  if (!result.isSupported) throw new Error(result.reason);
  return result.suite;
}

describe('algorithms', () => {
  it('knows AES-GCM-16 with keys of 128, 192 and 256 bits and a salt of 4 bytes (RFC 4106 section 8.1)', () => {
    for (const bits of [128, 192, 256]) {
      const suite = suiteOf(choice(GCM, bits / 8 + 4));
      expect(suite).to.deep.include({ keyBytes: bits / 8, icvBytes: 16, cipherName: `aes-${bits}-gcm` });
      expect(suite.encryption).to.deep.include({ ivBytes: 8, saltBytes: 4, alignBytes: 4, iv: 'numbered' });
    }
  });

  it('knows AES-CBC with HMAC-SHA2-256-128 (RFC 3602, RFC 4868)', () => {
    const suite = suiteOf(choice(CBC, 32), choice(SHA256, 32));
    expect(suite).to.deep.include({ keyBytes: 32, icvBytes: 16, cipherName: 'aes-256-cbc' });
    expect(suite.integrity?.primitive).to.equal('sha256');
    expect(suite.encryption).to.deep.include({ ivBytes: 16, saltBytes: 0, alignBytes: 16, iv: 'random' });
  });

  it('has every combination of a cipher and an integrity algorithm, and every AEAD alone', () => {
    const { encryption, integrity } = knownAlgorithms();
    const suites = encryption.flatMap((row) =>
      row.keyBytes.flatMap((bytes) => {
        const encr = choice(row.transform, bytes + row.saltBytes);
        return row.icvBytes > 0
          ? [suiteOf(encr)]
          : integrity.map((auth) => suiteOf(encr, choice(auth.transform, auth.keyBytes)));
      }),
    );
    // GCM, CCM, GMAC: 7 rows of 3 keys; ChaCha20; CBC and CTR of 3 keys and NULL, each with 6 integrity algorithms.
    expect(suites.length).to.equal(7 * 3 + 1 + 7 * 6);
    for (const suite of suites) expect(suite.icvBytes).to.be.within(8, 32);
    expect(new Set(encryption.map(({ transform }) => transform)).size).to.equal(encryption.length);
  });

  it('is what the plugin lets in, no more and no less (kernel_dvipa_check.c)', () => {
    const file = new URL('../../plugins/strongswan/kernel-dvipa/kernel_dvipa_check.c', import.meta.url);
    const text = readFileSync(file, 'utf8');
    const rows = (pattern: RegExp) => Array.from(text.matchAll(pattern), ([, ...row]) => row.join(' '));
    const wireName = (name: string) =>
      name
        .replace('NULL-AES-GMAC', 'NULL_AUTH_AES_GMAC')
        .replace(/^(AES-[CG]CM)-/, '$1-ICV')
        .replaceAll('-', '_');
    const { encryption, integrity } = knownAlgorithms();
    expect(rows(/\{ ENCR_(\w+),\s*(\d+),\s*(\d+),\s*(\d+),\s*(TRUE|FALSE)\s*\}/g)).to.deep.equal(
      encryption.map(({ name, keyBytes, saltBytes, icvBytes }) =>
        [wireName(name), keyBytes[0], keyBytes.at(-1), saltBytes, icvBytes > 0 ? 'TRUE' : 'FALSE'].join(' '),
      ),
    );
    expect(rows(/\{ AUTH_(\w+),\s*(\d+)\s*\}/g)).to.deep.equal(
      integrity.map(({ name, keyBytes }) => `${wireName(name)} ${keyBytes}`),
    );
  });

  it('lets no IV repeat that must not: every counter mode numbers it (docs/outbound.md)', () => {
    for (const { name, iv, peek, kind } of knownAlgorithms().encryption) {
      const isCounterMode = peek.method === 'counter' || peek.method === 'chacha20' || kind === 'gmac';
      expect(iv, name).to.equal(isCounterMode ? 'numbered' : kind === 'null' ? 'none' : 'random');
    }
  });

  it('says why a pair is not possible', () => {
    const refused: [Parameters<typeof supported>, string][] = [
      [[choice(23, 16)], 'encryption transform 23 (CAMELLIA-CBC) is not supported'],
      [[choice(28, 32)], 'CHACHA20-POLY1305 has no key of 32 bytes'],
      [[choice(14, 20)], 'AES-CCM-8 has no key of 20 bytes'],
      [[choice(11, 0)], 'NULL needs an integrity algorithm'],
      [[choice(11, 16), choice(SHA256, 32)], 'NULL has no key of 16 bytes'],
      [[choice(21, 20), choice(2, 20)], 'NULL-AES-GMAC goes without an integrity algorithm'],
      [[choice(13, 20)], 'AES-CTR needs an integrity algorithm'],
      [[choice(999, 36)], 'encryption transform 999 (unknown) is not supported'],
      [[choice(GCM, 16)], 'AES-GCM-16 has no key of 16 bytes'],
      [[choice(GCM, 20), choice(SHA256, 32)], 'AES-GCM-16 goes without an integrity algorithm'],
      [[choice(CBC, 16)], 'AES-CBC needs an integrity algorithm'],
      [[choice(CBC, 16), choice(0, 0)], 'AES-CBC needs an integrity algorithm'],
      [[choice(CBC, 16), choice(1, 16)], 'integrity transform 1 (HMAC-MD5-96) is not supported'],
      [[choice(CBC, 16), choice(SHA256, 20)], 'HMAC-SHA2-256-128 has no key of 20 bytes'],
    ];
    for (const [choices, reason] of refused)
      expect(supported(...choices)).to.deep.equal({ isSupported: false, reason });
  });

  it('takes "no integrity" (transform 0) with an AEAD', () => {
    expect(supported(choice(GCM, 20), choice(0, 0)).isSupported).to.equal(true);
  });

  it('knows how long a sealed packet becomes', () => {
    const gcm = suiteOf(choice(GCM, 20));
    const cbc = suiteOf(choice(CBC, 16), choice(SHA256, 32));
    // 8 header + IV + (plaintext + padding + 2) + 16 ICV
    expect([0, 1, 2, 3, 1400].map((bytes) => sealedBytes(gcm, bytes))).to.deep.equal([36, 36, 36, 40, 1436]);
    expect([0, 14, 15, 1400].map((bytes) => sealedBytes(cbc, bytes))).to.deep.equal([56, 56, 72, 1448]);
  });

  it('finds the longest plaintext that fits', () => {
    for (const suite of [suiteOf(choice(GCM, 36)), suiteOf(choice(CBC, 32), choice(SHA256, 32))]) {
      for (let room = 100; room < 1500; room++) {
        const plain = plainBytesWithin(suite, room);
        expect(sealedBytes(suite, plain)).to.be.at.most(room);
        expect(sealedBytes(suite, plain + 1)).to.be.above(room);
      }
    }
  });
});
