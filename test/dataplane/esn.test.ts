import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { unpackNumbers } from '../../src/coupling/records.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { counted } from '../support/dataplane-parts.ts';
import { espInUdp, tcp } from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { TargetBench } from './target-bench.ts';

const LAST = 2 ** 32 - 1;

describe('target-inbound, an SA with ESN', () => {
  it('goes over 2^32, reports whole numbers, and takes each once (RFC 4303 section 2.2.1)', () => {
    const sa = testSa({ spi: 0xc000_0001, hasEsn: true });
    const bench = new TargetBench();
    const entry = bench.install(sa);
    entry.window.restore({ top: BigInt(LAST - 2), bitmap: new Uint8Array(1024) });
    const peer = new EspNodeCrypto({ randomBytes });
    peer.install(0, sa);
    const seal = (number: number) => {
      const batch = new TestBatch([tcp()]);
      batch.number(0, BigInt(number), BigInt(number));
      batch.nextHeader[0] = 4;
      peer.seal(batch);
      return espInUdp(batch.packet());
    };
    const numbers = [LAST, LAST + 2, LAST - 1, LAST + 1];
    bench.run(...numbers.slice(0, 2).map(seal));
    bench.run(...numbers.slice(2).map(seal));
    expect(counted(bench.drops)).to.deep.equal({});
    expect(unpackNumbers(entry.committed.take())).to.have.members(numbers.map(BigInt));
    expect(entry.window.top).to.equal(BigInt(LAST + 2));
    bench.run(...numbers.map(seal));
    expect(counted(bench.drops)).to.deep.equal({ replay: 4 });
  });
});
