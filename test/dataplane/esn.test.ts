import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { unpackNumbers } from '../../src/ipsec/number-ranges.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { TestBatch } from '../support/crypto-batch.ts';
import { counted } from '../support/dataplane-parts.ts';
import { espInUdp, tcp } from '../support/inner-packets.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { testSa } from '../support/test-sas.ts';
import { TargetBench } from './target-bench.ts';

const LAST = 2 ** 32 - 1;

describe('target-inbound, an SA with ESN', () => {
  const setUp = () => {
    const sa = testSa({ spi: 0xc000_0001, hasEsn: true });
    const bench = new TargetBench();
    const entry = bench.install(sa);
    const peer = new EspNodeCrypto({ randomBytes });
    peer.install(0, sa);
    const seal = (number: number) => {
      const batch = new TestBatch([tcp()]);
      batch.number(0, BigInt(number), BigInt(number));
      batch.nextHeader[0] = 4;
      peer.seal(batch);
      return { high: Math.floor(number / 2 ** 32), datagram: espInUdp(batch.packet()) };
    };
    return { bench, entry, seal };
  };

  it('is given the high half by the routing host, whatever it would infer itself', () => {
    const { bench, entry, seal } = setUp();
    // Idle since long: the routing host, which has seen 2^32 + 500, takes this old packet for one of the next subspace.
    entry.window.restore({ top: BigInt(LAST - 59), bitmap: new Uint8Array(1024) });
    bench.runExtended({ ...seal(LAST - 50), high: 1 });
    expect(counted(bench.drops)).to.deep.equal({ icv: 1 });
    expect([bench.tun.packets.length, entry.window.top]).to.deep.equal([0, BigInt(LAST - 59)]);
  });

  it('is refused without a high half, and another SA with one', () => {
    const { bench, seal } = setUp();
    bench.run(seal(5).datagram);
    bench.install(testSa({ spi: 0xc000_0002 }));
    bench.runExtended({ high: 0, datagram: espInUdp(new EspPeer('aes128gcm16', 0xc000_0002).seal(tcp())) });
    expect(counted(bench.drops)).to.deep.equal({ 'link-malformed': 2 });
  });

  it('goes over 2^32, reports whole numbers, and takes each once (RFC 4303 section 2.2.1)', () => {
    const { bench, entry, seal } = setUp();
    entry.window.restore({ top: BigInt(LAST - 2), bitmap: new Uint8Array(1024) });
    const numbers = [LAST, LAST + 2, LAST - 1, LAST + 1];
    bench.runExtended(...numbers.slice(0, 2).map(seal));
    bench.runExtended(...numbers.slice(2).map(seal));
    expect(counted(bench.drops)).to.deep.equal({});
    expect(unpackNumbers(entry.committed.take())).to.have.members(numbers.map(BigInt));
    expect(entry.window.top).to.equal(BigInt(LAST + 2));
    bench.runExtended(...numbers.map(seal));
    expect(counted(bench.drops)).to.deep.equal({ replay: 4 });
  });
});
