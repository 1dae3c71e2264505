import { expect } from 'chai';
import { counted } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { CLIENT, espInUdp, addr, tcp } from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { TargetBench } from './target-bench.ts';

const SPI = 0xc000_0001;
const ELSEWHERE = '192.0.2.99';
const PORT = 61_000;

describe('target-inbound and a peer that moves', () => {
  const setUp = () => {
    const bench = new TargetBench();
    const entry = bench.install(testSa({ spi: SPI }));
    const peer = new EspPeer('aes128gcm16', SPI);
    /** A packet with this number from there. */
    const from = (number: number, source = CLIENT, sourcePort = 4500) =>
      espInUdp(peer.seal(tcp(), number), { source, sourcePort });
    return { bench, entry, peer, from };
  };
  const forge = (datagram: Buffer) => {
    datagram.writeUInt8(datagram.readUInt8(datagram.length - 1) ^ 1, datagram.length - 1);
    return datagram;
  };

  it('tells of the newest packet from another port, or another address', () => {
    const { bench, from } = setUp();
    bench.run(from(1), from(2, CLIENT, PORT), from(3, ELSEWHERE));
    expect(bench.moved).to.deep.equal([`${CLIENT}:${PORT} 2`, `${ELSEWHERE}:4500 3`]);
    expect(bench.tun.packets).to.have.lengthOf(3); // and every one is delivered all the same
  });

  it('tells of nothing where the peer stays', () => {
    const { bench, from } = setUp();
    bench.run(from(1), from(2));
    expect(bench.moved).to.deep.equal([]);
  });

  it('tells of nothing before the ICV', () => {
    const { bench, from } = setUp();
    bench.run(from(1), forge(from(9, ELSEWHERE)), from(2));
    expect(bench.moved).to.deep.equal([]);
    expect(counted(bench.drops)).to.deep.equal({ icv: 1 });
  });

  it('tells of no replay, in the same vector or later', () => {
    const { bench, from } = setUp();
    bench.run(from(5), from(5, ELSEWHERE));
    bench.run(from(5, ELSEWHERE));
    expect(bench.moved).to.deep.equal([]);
    expect(counted(bench.drops)).to.deep.equal({ replay: 2 });
  });

  it('tells of no late packet, though it is delivered: it says where the peer was', () => {
    const { bench, from } = setUp();
    bench.run(from(7), from(6, ELSEWHERE));
    expect(bench.moved).to.deep.equal([]);
    expect(bench.tun.packets).to.have.lengthOf(2);
  });

  it('tells of a dummy packet, and of one that a later check drops: they are authenticated', () => {
    const { bench, peer } = setUp();
    const there = { source: ELSEWHERE };
    bench.run(espInUdp(peer.seal(Buffer.alloc(40), 1, { nextHeader: 59 }), there));
    bench.run(espInUdp(peer.seal(tcp({ source: '10.9.9.9' }), 2), there));
    expect(bench.moved).to.deep.equal([`${ELSEWHERE}:4500 1`, `${ELSEWHERE}:4500 2`]);
  });

  it('falls silent when the SA is updated, and speaks again when the peer goes back', () => {
    const { bench, entry, from } = setUp();
    entry.peerAddress = addr(ELSEWHERE);
    entry.peerPort = PORT;
    bench.run(from(1, ELSEWHERE, PORT));
    expect(bench.moved).to.deep.equal([]);
    bench.run(from(2));
    expect(bench.moved).to.deep.equal([`${CLIENT}:4500 2`]);
  });
});
