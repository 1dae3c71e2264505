import { randomBytes } from 'node:crypto';
import { getHeapSnapshot } from 'node:v8';
import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { decodeFrame, encodeFrame } from '../../src/coupling/envelope.ts';
import { FRAME_HEADER_BYTES } from '../../src/coupling/framing.ts';
import { routeCodecs } from '../../src/coupling/route-schemas.ts';
import { AUTH_HMAC_SHA2_256_128, ENCR_AES_CBC } from '../../src/ipsec/algorithms.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { testSa } from '../support/test-sas.ts';

const KEY_BYTES = 32;
const A = 0x41;

/** A key that could be text; it stands nowhere as text. */
const readableKey = () => Buffer.from(randomBytes(KEY_BYTES).map((byte) => A + (byte & 15)));

/** Whether a text on the heap has one of these bytes in it. */
async function isInText(wanted: readonly Buffer[]): Promise<boolean> {
  let rest = Buffer.alloc(0);
  for await (const chunk of getHeapSnapshot()) {
    const seen = Buffer.concat([rest, Buffer.from(chunk)]);
    if (wanted.some((bytes) => seen.includes(bytes))) return true;
    rest = Buffer.from(seen.subarray(-KEY_BYTES));
  }
  return false;
}

/** An SA that has come in a frame, which was wiped then. */
function received(encryption: Buffer, integrity: Buffer): SecurityAssociation {
  const sent: SecurityAssociation = {
    ...testSa({ spi: 0xc000_0001 }),
    encryption: { transform: ENCR_AES_CBC, key: KeyMaterial.copyOf(encryption) },
    integrity: { transform: AUTH_HMAC_SHA2_256_128, key: KeyMaterial.copyOf(integrity) },
  };
  const codec = routeCodecs['sa-install'];
  const b = codec.encode({ sa: sent, credit: { bytes: 1, packets: 1 } });
  const frame = encodeFrame({ n: 1, a: 0, e: 1, k: 'sa-install', b });
  const { sa } = codec.decode(decodeFrame(frame.subarray(FRAME_HEADER_BYTES)).b);
  frame.fill(0);
  return sa;
}

describe('a record with keys', () => {
  it('leaves none of them in the texts that were made of its frame', async function () {
    this.timeout(30_000);
    const [encryption, integrity] = [readableKey(), readableKey()];
    const sa = received(encryption, integrity);
    expect(await isInText([encryption, integrity])).to.equal(false);
    expect(sa.encryption.key.reveal().equals(encryption)).to.equal(true);
  });

  it('would be found if it did', async function () {
    this.timeout(30_000);
    const [key, other] = [readableKey(), readableKey()];
    const text = `key ${key.toString('latin1')}`;
    expect(await isInText([other, key])).to.equal(true);
    expect(text).to.have.length(4 + KEY_BYTES);
  });
});
