import { expect } from 'chai';
import { counted } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { DVIPA, ENDPOINT, espInUdp, tcp } from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { RoutingBench } from './routing-bench.ts';
import { TargetBench } from './target-bench.ts';

const SPI = 0xc000_0001;

/** Genuine packets, as if from addresses of the cluster. */
function fromOurselves(): Buffer[] {
  const peer = new EspPeer('aes128gcm16', SPI);
  return [ENDPOINT, DVIPA].map((source) => espInUdp(peer.seal(tcp()), { source }));
}

describe('an outer source that is an address of the cluster', () => {
  it('is refused on the routing host: it is spoofed', () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }));
    bench.run(...fromOurselves());
    expect(counted(bench.drops)).to.deep.equal({ 'tunnel-check': 2 });
  });

  it('is refused on a target, also if the packet is authentic', () => {
    const bench = new TargetBench();
    const entry = bench.install(testSa({ spi: SPI }));
    bench.run(...fromOurselves());
    expect(counted(bench.drops)).to.deep.equal({ 'tunnel-check': 2 });
    expect(entry.window.top).to.equal(0n);
  });
});
