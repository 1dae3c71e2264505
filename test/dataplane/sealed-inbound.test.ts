import { expect } from 'chai';
import { InboundFilter } from '../../src/dataplane/inbound-filter.ts';
import { LINK_FLAG, LINK_KIND } from '../../src/ipsec/link-seal.ts';
import { counted } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { addr, DVIPA, espInUdp, tcp } from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { type ShadowOptions, TargetBench } from './target-bench.ts';

const SPI = 0xc000_0001;
const FALLBACK = { flags: LINK_FLAG.FALLBACK };
const deny = [{ action: 'deny', protocol: 6, fromPort: 80, toPort: 80 }] as const;

function setUp(options: ShadowOptions = {}) {
  const bench = new TargetBench();
  const entry = bench.install(testSa({ spi: SPI }), options);
  return { bench, entry, peer: new EspPeer('aes128gcm16', SPI) };
}

describe('sealed-inbound, a packet that the routing host has committed', () => {
  it('reaches the application and is tracked; lifesize and reports are not its', () => {
    const { bench, entry } = setUp();
    bench.runCommitted(tcp({ destinationPort: 80 }), SPI, 7);
    expect(bench.tun.take()).to.deep.equal([tcp({ destinationPort: 80 })]);
    expect(bench.authenticated).to.deep.equal([80]);
    expect([entry.meter.packets, entry.committed.count]).to.deep.equal([0, 0]);
    expect([bench.delivery.packets, bench.sealedInbound.packets]).to.deep.equal([1, 1]);
  });

  it('passes the window, also where its number was given up, and marks it', () => {
    const { bench, entry, peer } = setUp();
    entry.window.commit(0, 7);
    bench.runCommitted(tcp(), SPI, 7);
    bench.runCommitted(tcp(), SPI, 8);
    expect(bench.tun.take()).to.have.lengthOf(2);
    bench.run(espInUdp(peer.seal(tcp(), 7)), espInUdp(peer.seal(tcp(), 8)));
    expect(bench.tun.take()).to.have.lengthOf(0);
    expect(counted(bench.drops)).to.deep.equal({ replay: 2 });
  });

  it('is delivered once, however often the link brings it', () => {
    const { bench } = setUp();
    const sealed = bench.runCommitted(tcp(), SPI, 7);
    bench.runSealed(sealed);
    expect(bench.tun.take()).to.have.lengthOf(1);
    expect(counted(bench.drops)).to.deep.equal({ 'link-replay': 1 });
  });

  it('is refused when changed, of an old epoch, of another kind, or too short', () => {
    const { bench } = setUp();
    const changed = bench.runCommitted(tcp(), SPI, 7);
    changed[40] = (changed[40] as number) ^ 1;
    changed[11] = (changed[11] as number) ^ 0x40; // not a replay
    bench.runSealed(changed);
    bench.runCommitted(tcp(), SPI, 8, { epoch: 2 });
    bench.runCommitted(tcp(), SPI, 9, { kind: LINK_KIND.FUNNEL });
    bench.runCommitted(Buffer.alloc(0), SPI, 10);
    expect(bench.tun.take()).to.have.lengthOf(1);
    expect(counted(bench.drops)).to.deep.equal({
      'link-authentication': 1,
      'link-epoch': 1,
      'link-unknown-kind': 1,
      'link-malformed': 1,
    });
  });

  it('is checked against selectors, DVIPA and, in mode bypass, the filter', () => {
    const { bench } = setUp({ rules: deny });
    bench.runCommitted(tcp({ source: '10.9.9.9' }), SPI, 1);
    bench.runCommitted(tcp({ destination: '10.0.0.1' }), SPI, 2);
    bench.runCommitted(tcp({ destinationPort: 80 }), SPI, 3);
    expect(bench.tun.take()).to.have.lengthOf(0);
    expect(counted(bench.drops)).to.deep.equal({ 'tunnel-check': 1, 'inner-not-dvipa': 1, filter: 1 });
  });

  it('is not filtered again in mode filter', () => {
    const { bench } = setUp({ rules: deny, filterMode: 'filter' });
    bench.runCommitted(tcp({ destinationPort: 80 }), SPI, 3);
    expect(bench.tun.take()).to.have.lengthOf(1);
  });
});

describe('sealed-inbound, a committed packet of an SA that this target does not have', () => {
  const without = () => {
    const bench = new TargetBench();
    const dvipa = {
      address: addr(DVIPA),
      filterMode: 'bypass',
      filter: new InboundFilter(deny),
      distributesClear: false,
      returnVia: 'direct' as const,
    } as const;
    bench.served.set(addr(DVIPA), dvipa);
    return bench;
  };

  it('is taken only if the routing host says that it opened it in our place', () => {
    const bench = without();
    bench.runCommitted(tcp({ destinationPort: 443 }), SPI, 1);
    expect(counted(bench.drops)).to.deep.equal({ 'unknown-spi': 1 });
    const rules = {
      address: addr(DVIPA),
      filterMode: 'bypass',
      filter: new InboundFilter([]),
      distributesClear: false,
      returnVia: 'direct' as const,
    } as const;
    bench.served.set(addr(DVIPA), rules);
    bench.runCommitted(tcp({ destinationPort: 443 }), SPI, 2, FALLBACK);
    expect(bench.tun.take()).to.have.lengthOf(1);
  });

  it('must be for a DVIPA that this target serves, and pass its filter', () => {
    const bench = without();
    bench.runCommitted(tcp({ destination: '203.0.113.99' }), SPI, 1, FALLBACK);
    bench.runCommitted(tcp({ destinationPort: 80 }), SPI, 2, FALLBACK);
    expect(bench.tun.take()).to.have.lengthOf(0);
    expect(counted(bench.drops)).to.deep.equal({ 'inner-not-dvipa': 1, filter: 1 });
  });
});
