import { expect } from 'chai';
import { counted } from '../support/dataplane-parts.ts';
import { ESP_SUITES, EspPeer } from '../support/esp-peer.ts';
import { espInUdp, reply } from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { FunnelBench, FunnelTarget, openAll, OUTER_BYTES, OutboundBench } from './outbound-bench.ts';
import { StampingBench, StampingTarget } from './stamping-bench.ts';
import { TargetBench } from './target-bench.ts';

const SPI = 0xc100_0001;
const PATH_MTU = 0xffff_ffff;
const LENGTHS = [0, 1, 2, 3, 100, 555, 1000];
const packets = () => LENGTHS.map((length) => reply({ data: 'x'.repeat(length) }));
const lengths = (sent: readonly Buffer[]) => [...new Set(sent.map(({ length }) => length))];

function sendOn(bench: OutboundBench, tfcBytes: number, suite: (typeof ESP_SUITES)[number]) {
  const entry = bench.install(testSa({ spi: SPI, direction: 'out', suite, tfcBytes }));
  bench.run(reply());
  bench.grant(entry, 1, 64);
  bench.raw.take();
  const before = entry.meter.bytes;
  bench.run(...packets());
  return { entry, sent: bench.raw.packets, counted: entry.meter.bytes - before };
}

describe('TFC padding (RFC 4303 section 2.7)', () => {
  for (const suite of ESP_SUITES) {
    it(`makes packets of a target equally long, and the peer reads what was sent (${suite})`, () => {
      const { sent } = sendOn(new OutboundBench(), 1280, suite);
      expect(lengths(sent)).to.have.lengthOf(1);
      const opened = openAll(sent, new EspPeer(suite, SPI));
      expect(opened.map((one) => one?.inner.length)).to.deep.equal(LENGTHS.map(() => 1280));
      for (const [i, packet] of packets().entries()) {
        const inner = opened[i]?.inner as Buffer;
        expect(inner.subarray(0, packet.length).equals(packet)).to.equal(true);
        expect(inner.subarray(packet.length).equals(Buffer.alloc(1280 - packet.length))).to.equal(true);
      }
    });

    it(`fills what the path takes in one piece, and no more (${suite})`, () => {
      for (const outside of [1500, 1400, 9000]) {
        const bench = new OutboundBench();
        bench.limits = { outside, cluster: 9000 };
        const { sent } = sendOn(bench, PATH_MTU, suite);
        const [length, ...others] = lengths(sent);
        expect(others).to.deep.equal([]);
        expect(length).to.be.at.most(outside);
        if (outside < 3000) expect(length).to.be.greaterThan(outside - 20);
        expect(openAll(sent, new EspPeer(suite, SPI))).to.not.include(undefined);
      }
    });
  }

  it('does not cut nor pad what is longer than it says', () => {
    const { sent } = sendOn(new OutboundBench(), 300, 'aes128gcm16');
    const opened = openAll(sent, new EspPeer('aes128gcm16', SPI));
    expect(opened.map((one) => one?.inner.length)).to.deep.equal(
      packets().map(({ length }) => Math.max(300, length)),
    );
  });

  it('counts for the lifesize as the peer counts it', () => {
    const { sent, counted: bytes } = sendOn(new OutboundBench(), 1280, 'aes128gcm16');
    const peer = new TargetBench();
    const entry = peer.install(testSa({ spi: SPI }));
    peer.run(...sent.map((datagram) => espInUdp(datagram.subarray(OUTER_BYTES))));
    expect(counted(peer.drops)).to.deep.equal({ 'inner-not-dvipa': LENGTHS.length }); // it is ours, not the peer's
    expect([entry.meter.bytes, bytes]).to.deep.equal([1280 * LENGTHS.length, 1280 * LENGTHS.length]);
  });

  it('is added by the funnel, not on the link', () => {
    const bench = new FunnelBench();
    bench.install(testSa({ spi: SPI, direction: 'out', tfcBytes: 1280 }));
    const target = new FunnelTarget('target1');
    const sealed = packets().map((packet) => target.seal(packet));
    expect(lengths(sealed)).to.have.lengthOf(LENGTHS.length);
    bench.run(target, sealed);
    expect(lengths(bench.raw.packets)).to.have.lengthOf(1);
    const opened = openAll(bench.raw.packets, new EspPeer('aes128gcm16', SPI));
    expect(opened.map((one) => one?.inner.length)).to.deep.equal(LENGTHS.map(() => 1280));
  });

  it('is under the seal of what the routing host only stamps', () => {
    const sa = testSa({ spi: SPI, direction: 'out', tfcBytes: 1280 });
    const router = new StampingBench();
    router.install(sa);
    router.run('target1', new StampingTarget(sa, 1).seal(...packets()));
    expect(lengths(router.raw.packets)).to.have.lengthOf(1);
    const opened = openAll(router.raw.packets, new EspPeer('aes128gcm16', SPI));
    expect(opened.map((one) => one?.inner.length)).to.deep.equal(LENGTHS.map(() => 1280));
  });

  it('of a packet that waited for a number is the same', () => {
    const bench = new OutboundBench();
    const entry = bench.install(testSa({ spi: SPI, direction: 'out', tfcBytes: 1280 }));
    bench.run(...packets());
    bench.grant(entry, 1, 64);
    expect(lengths(bench.raw.packets)).to.have.lengthOf(1);
  });
});
