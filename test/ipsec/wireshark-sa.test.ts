import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { knownAlgorithms } from '../../src/ipsec/algorithms.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { wiresharkLine } from '../../src/ipsec/wireshark-sa.ts';
import { testSa } from '../support/test-sas.ts';

/** Bytes 1, 2, 3 ... and their hexadecimal form. */
const bytes = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i + 1) & 0xff));
const hexOf = (length: number) => (length === 0 ? '' : `0x${bytes(length).toString('hex')}`);

function saWith(
  encryption: { transform: number; keyBytes: number },
  integrity?: { transform: number; keyBytes: number },
  rest: Partial<SecurityAssociation> = {},
): SecurityAssociation {
  const { integrity: _, ...sa } = testSa({ spi: 0xc0ffee01 });
  return {
    ...sa,
    encryption: { transform: encryption.transform, key: KeyMaterial.copyOf(bytes(encryption.keyBytes)) },
    ...(integrity && {
      integrity: { transform: integrity.transform, key: KeyMaterial.copyOf(bytes(integrity.keyBytes)) },
    }),
    ...rest,
  };
}

/** The line as text, or the reason. */
function said(sa: SecurityAssociation, high = 0): string {
  const result = wiresharkLine(sa, high);
  return result.ok ? result.line.toString('latin1') : result.reason;
}

const GCM = { transform: 20, keyBytes: 20 };
const ADDRESSES = '"IPv4","*","192.0.2.10","0xc0ffee01"';
const ENCRYPTION: Readonly<Record<string, string | undefined>> = {
  NULL: 'NULL',
  'AES-CBC': 'AES-CBC [RFC3602]',
  'AES-CTR': 'AES-CTR [RFC3686]',
  'AES-CCM-8': undefined,
  'AES-CCM-12': undefined,
  'AES-CCM-16': undefined,
  'AES-GCM-8': 'AES-GCM with 8 octet ICV [RFC4106]',
  'AES-GCM-12': 'AES-GCM with 12 octet ICV [RFC4106]',
  'AES-GCM-16': 'AES-GCM with 16 octet ICV [RFC4106]',
  'NULL-AES-GMAC': undefined,
  'CHACHA20-POLY1305': 'ChaCha20 with Poly1305 [RFC7634]',
};
const INTEGRITY: Readonly<Record<string, string>> = {
  'HMAC-SHA1-96': 'HMAC-SHA-1-96 [RFC2404]',
  'AES-XCBC-96': 'ANY 96 bit authentication [no checking]',
  'AES-CMAC-96': 'ANY 96 bit authentication [no checking]',
  'HMAC-SHA2-256-128': 'HMAC-SHA-256-128 [RFC4868]',
  'HMAC-SHA2-384-192': 'HMAC-SHA-384-192 [RFC4868]',
  'HMAC-SHA2-512-256': 'HMAC-SHA-512-256 [RFC4868]',
};

describe("an SA as a line of Wireshark's table", () => {
  const { encryption, integrity } = knownAlgorithms();

  it('is decided for every algorithm of the table', () => {
    expect(Object.keys(ENCRYPTION)).to.have.members(encryption.map(({ name }) => name));
    expect(Object.keys(INTEGRITY)).to.have.members(integrity.map(({ name }) => name));
  });

  for (const row of encryption) {
    for (const keyBytes of row.keyBytes) {
      const name = ENCRYPTION[row.name];
      const chosen = { transform: row.transform, keyBytes: keyBytes + row.saltBytes };
      const key = hexOf(chosen.keyBytes);
      if (name === undefined) {
        it(`${row.name}-${keyBytes * 8}: there is none, with a reason that names it`, () =>
          expect(said(saWith(chosen))).to.equal(`Wireshark does not know ${row.name}`));
      } else if (row.icvBytes > 0) {
        it(`${row.name}-${keyBytes * 8}: key and salt in one, no authentication`, () =>
          expect(said(saWith(chosen))).to.equal(`${ADDRESSES},"${name}","${key}","NULL",""\n`));
      } else {
        for (const other of integrity) {
          it(`${row.name}-${keyBytes * 8} with ${other.name}`, () =>
            expect(said(saWith(chosen, other))).to.equal(
              `${ADDRESSES},"${name}","${key}","${INTEGRITY[other.name]}","${hexOf(other.keyBytes)}"\n`,
            ));
        }
      }
    }
  }

  it('leaves the source of an inbound SA open, and names both ends of an outbound one', () => {
    const outer = {
      source: '192.0.2.10',
      destination: '192.0.2.101',
      sourcePort: 4500,
      destinationPort: 4500,
    };
    const line = said(saWith(GCM, undefined, { direction: 'out', outer }));
    expect(line).to.contain('"IPv4","192.0.2.10","192.0.2.101",');
  });

  it('says IPv6 of outer addresses that are', () => {
    const outer = { source: '2001:db8::1', destination: '2001:db8::10', sourcePort: 0, destinationPort: 0 };
    expect(said(saWith(GCM, undefined, { outer }))).to.match(/^"IPv6","\*","2001:db8::10","0xc0ffee01",/);
  });

  it('has two more columns with ESN, the upper half among them', () => {
    const sa = saWith(GCM, undefined, { hasEsn: true });
    expect(said(sa, 0x12)).to.match(/,"NULL","","64-bit","0x00000012"\n$/);
  });

  it('is not made of addresses that are none: nothing may break out of the quotes', () => {
    for (const destination of ['', 'x"\n"IPv4', '192.0.2.10"', 'fe80::1%eth0', '::ffff:192.0.2.1']) {
      const outer = { source: '192.0.2.1', destination, sourcePort: 0, destinationPort: 0 };
      expect(said(saWith(GCM, undefined, { outer }))).to.equal('no outer addresses');
    }
  });

  it('is refused for transforms that nobody knows, and throws on a key that was wiped', () => {
    expect(said(saWith({ transform: 99, keyBytes: 16 }))).to.equal('Wireshark does not know transform 99');
    expect(said(saWith({ transform: 12, keyBytes: 16 }, { transform: 99, keyBytes: 16 }))).to.match(
      /integrity/,
    );
    const sa = saWith(GCM);
    sa.encryption.key.wipe();
    expect(() => wiresharkLine(sa, 0)).to.throw('wiped');
  });
});
