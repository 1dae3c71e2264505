import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { encodeIpv4 } from '../../src/packet/ipv4.ts';
import { encodeUdp, writeUdpChecksum4 } from '../../src/packet/udp.ts';
import { TestBatch } from '../support/crypto-batch.ts';

const script = fileURLToPath(new URL('../vectors/make-esp-vectors.py', import.meta.url));
interface Suite {
  suite: string;
  encryption: number;
  encrBytes: number;
  integrity: number;
  integBytes: number;
}

/** An inner UDP packet of 28 + `payloadBytes` bytes; scapy prints it again byte for byte. */
function inner(payloadBytes: number): Buffer {
  const packet = Buffer.concat([Buffer.alloc(28), randomBytes(payloadBytes)]);
  const [source, destination] = [0xcb00710a, 0x0a010101];
  encodeIpv4(packet, 0, { totalBytes: packet.length, protocol: 17, source, destination });
  encodeUdp(packet, 20, 4000, 40000, payloadBytes);
  writeUdpChecksum4(packet, 20, 8 + payloadBytes, source, destination);
  return packet;
}

describe('ESP that we sealed, opened by scapy', () => {
  it('gives the inner packet for every suite, ESN or not, and lengths around the block sizes', function () {
    this.timeout(60_000);
    const items: object[] = [];
    const wanted: string[] = [];
    const suites = JSON.parse(
      execFileSync('/usr/bin/python3', [script, 'suites'], { encoding: 'utf8' }),
    ) as Suite[];
    for (const { suite, encryption, encrBytes, integrity, integBytes } of suites) {
      for (const hasEsn of [false, true]) {
        for (const payloadBytes of [1, 2, 3, 4, 15, 16, 17, 100, 1372]) {
          const [encryptionKey, integrityKey] = [randomBytes(encrBytes), randomBytes(integBytes)];
          const sequence = hasEsn ? 0x3_0000_0007n : 0x7fff_ffffn;
          const crypto = new EspNodeCrypto({ randomBytes });
          const spi = 0xc0000100 + payloadBytes;
          crypto.install(0, {
            spi,
            hasEsn,
            encryption: { transform: encryption, key: KeyMaterial.copyOf(encryptionKey) },
            ...(integBytes > 0 && {
              integrity: { transform: integrity, key: KeyMaterial.copyOf(integrityKey) },
            }),
          });
          const plain = inner(payloadBytes);
          const batch = new TestBatch([plain]);
          batch.number(0, sequence, 0x0001_0000_0000_0009n);
          batch.nextHeader[0] = 4;
          crypto.seal(batch);
          expect(batch.reason()).to.equal('none');
          const hex = (bytes: Buffer) => bytes.toString('hex');
          const [esp, key, mac] = [batch.packet(), encryptionKey, integrityKey].map(hex);
          items.push({
            suite,
            spi,
            hasEsn,
            sequence: String(sequence),
            encryptionKey: key,
            integrityKey: mac,
            esp,
          });
          wanted.push(hex(plain));
        }
      }
    }
    const output = execFileSync('/usr/bin/python3', [script, 'open'], {
      input: JSON.stringify(items),
      encoding: 'utf8',
    });
    expect(JSON.parse(output)).to.deep.equal(wanted);
  });
});
