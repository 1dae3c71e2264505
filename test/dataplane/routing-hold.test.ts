import { expect } from 'chai';
import { counted } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { espInUdp, tcp } from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { RoutingBench } from './routing-bench.ts';

const SPI = 0xc000_0001;
describe('routing-inbound, packets that wait for their SA', () => {
  const held = (bench: RoutingBench, count: number, spi = SPI) => {
    const peer = new EspPeer('aes128gcm16', spi);
    const datagrams = Array.from({ length: count }, (_, i) =>
      espInUdp(peer.seal(tcp({ data: `packet ${i}` }))),
    );
    for (const datagram of datagrams) bench.run(datagram);
    return datagrams;
  };

  it('lets them go in their order when the SA is served', () => {
    const bench = new RoutingBench([0]);
    const datagrams = held(bench, 20);
    expect(bench.link.sent).to.deep.equal([]);
    bench.install(testSa({ spi: SPI }), { serving: [0] });
    bench.inbound.release(SPI, bench.now);
    const sent = bench.link.take();
    expect(sent.map(({ bytes }) => datagrams.findIndex((datagram) => datagram.equals(bytes)))).to.deep.equal(
      datagrams.map((_, i) => i),
    );
    bench.inbound.release(SPI, bench.now);
    expect(bench.link.sent).to.deep.equal([]);
  });

  it('holds 64 packets of unknown SPIs for 300 ms and counts them as unknown-spi', () => {
    const bench = new RoutingBench();
    held(bench, 70);
    expect(counted(bench.drops)).to.deep.equal({ 'unknown-spi': 6 });
    bench.inbound.tick(bench.now + 299);
    expect(counted(bench.drops)).to.deep.equal({ 'unknown-spi': 6 });
    bench.inbound.tick(bench.now + 300);
    expect(counted(bench.drops)).to.deep.equal({ 'unknown-spi': 70 });
  });

  it('holds 64 packets of SAs without a target for 300 ms: hold-overflow, then sa-not-serving', () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }), { serving: [] });
    held(bench, 66);
    expect(counted(bench.drops)).to.deep.equal({ 'hold-overflow': 2 });
    bench.inbound.tick(bench.now + 300);
    expect(counted(bench.drops)).to.deep.equal({ 'hold-overflow': 2, 'sa-not-serving': 64 });
  });

  it('a forger who fills the place of unknown SPIs takes none from an SA that is being rekeyed', () => {
    const bench = new RoutingBench();
    const entry = bench.install(testSa({ spi: SPI }), { serving: [] });
    for (let spi = 1; spi <= 200; spi++) held(bench, 1, 0xdd00_0000 + spi);
    held(bench, 10);
    entry.serving.add(0);
    bench.inbound.release(SPI, bench.now);
    expect(bench.link.sent).to.have.lengthOf(10);
  });

  it('does not let a packet of an SA go that has no windows yet', () => {
    const bench = new RoutingBench();
    const entry = bench.install(testSa({ spi: SPI }), { isWaitingForWindows: true });
    held(bench, 3);
    bench.inbound.release(SPI, bench.now);
    expect(bench.link.sent).to.deep.equal([]);
    entry.isWaitingForWindows = false;
    bench.inbound.release(SPI, bench.now);
    expect(bench.link.sent).to.have.lengthOf(3);
  });
});
