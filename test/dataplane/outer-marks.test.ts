import { expect } from 'chai';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { AddressSet } from '../../src/packet/address-map.ts';
import { internetChecksum } from '../../src/packet/checksum.ts';
import { readTrafficClass, writeTrafficClass } from '../../src/packet/traffic-class.ts';
import { counted, vectorOf } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { addressesOf, CELLS, type Cell, cellSa, sealedBy } from '../support/family-cells.ts';
import { addr, espInUdp, tcp } from '../support/inner-packets.ts';
import { tcpSegment } from '../support/ip-packets.ts';
import { openOne } from '../support/link-seal.ts';
import { testSa } from '../support/test-sas.ts';
import { takeCommitted } from '../../src/dataplane/committed-packet.ts';
import { RoutingBench } from './routing-bench.ts';
import { TargetBench } from './target-bench.ts';

const SPI = 0xc000_0001;
const [NOT, ECT1, ECT0, CE] = [0, 1, 2, 3] as const;
/** AF41 with ECT(0). */
const INNER = 0x88 | ECT0;

/** What the application gets of a packet with these marks inside and outside. */
function delivered(cell: Cell, copy: SecurityAssociation['copy'], inner: number, outer: number) {
  const { dvipa, endpoint, inner: source } = addressesOf(cell);
  const bench = new TargetBench();
  bench.addresses = { ...bench.addresses, endpoints: new AddressSet([addr(endpoint)]) };
  bench.install({ ...cellSa(cell, 'in', SPI), copy });
  const segment = tcpSegment({ source, destination: dvipa, data: 'hello' });
  writeTrafficClass(segment, 0, inner);
  const datagram = sealedBy(new EspPeer('aes128gcm16', SPI), cell, segment);
  writeTrafficClass(datagram, 0, outer);
  bench.run(datagram);
  const [packet] = bench.tun.packets;
  if (packet !== undefined && cell.inside === 4) expect(internetChecksum(packet, 0, 20)).to.equal(0);
  return { mark: packet && readTrafficClass(packet, 0), drops: counted(bench.drops) };
}

const COPIES = { df: true, ecn: true, dscp: false };

for (const cell of CELLS.filter(({ mode }) => mode === 'tunnel')) {
  const title = `outer marks, IPv${cell.inside} over IPv${cell.outside}${cell.isUdp ? ' in UDP' : ''}`;
  describe(title, () => {
    it('congestion on the way reaches the application (RFC 6040 section 4.2)', () => {
      expect(delivered(cell, COPIES, INNER, CE).mark).to.equal(0x88 | CE);
      expect(delivered(cell, COPIES, ECT1, CE).mark).to.equal(CE);
      expect(delivered(cell, COPIES, INNER, ECT1).mark).to.equal(0x88 | ECT1);
    });

    it('nothing else of ECN does', () => {
      for (const [inner, outer] of [
        [NOT, ECT0],
        [NOT, ECT1],
        [CE, NOT],
        [ECT0, NOT],
        [ECT1, ECT0],
      ] as const)
        expect(delivered(cell, COPIES, inner, outer)).to.deep.equal({ mark: inner, drops: {} });
    });

    it('with copy_ecn = no nothing of ECN does', () => {
      const copy = { ...COPIES, ecn: false };
      for (const inner of [NOT, ECT0, ECT1, CE])
        expect(delivered(cell, copy, inner, CE)).to.deep.equal({ mark: inner, drops: {} });
    });

    it('DSCP does where the SA says so (copy_dscp = in, yes), and only there', () => {
      expect(delivered(cell, { ...COPIES, dscp: true }, INNER, 0xb8 | ECT0).mark).to.equal(0xb8 | ECT0);
      expect(delivered(cell, { ...COPIES, dscp: true, ecn: false }, INNER, 0xb8 | CE).mark).to.equal(
        0xb8 | ECT0,
      );
      expect(delivered(cell, COPIES, INNER, 0xb8 | CE).mark).to.equal(0x88 | CE);
    });
  });
}

describe('outer marks in transport mode', () => {
  for (const cell of CELLS.filter(({ mode }) => mode === 'transport'))
    it(`are the packet's own, IPv${cell.outside}${cell.isUdp ? ' in UDP' : ''}`, () => {
      const copy = { df: false, ecn: false, dscp: false };
      expect(delivered(cell, copy, INNER, 0xb8 | CE)).to.deep.equal({ mark: 0xb8 | CE, drops: {} });
    });
});

describe('congestion marked on a packet that does not know ECN', () => {
  const marked = (datagram: Buffer) => {
    const copy = Buffer.from(datagram);
    writeTrafficClass(copy, 0, CE);
    return copy;
  };

  it('drops it on a target, and spends nothing: the genuine packet comes through (RFC 6040 section 4.2)', () => {
    const bench = new TargetBench();
    const entry = bench.install(testSa({ spi: SPI }));
    const datagram = espInUdp(new EspPeer('aes128gcm16', SPI).seal(tcp()));
    bench.run(marked(datagram), marked(datagram));
    expect([counted(bench.drops), entry.meter.packets, bench.tun.packets.length]).to.deep.equal([
      { congestion: 2 },
      0,
      0,
    ]);
    bench.run(datagram);
    expect(bench.tun.packets).to.deep.equal([tcp()]);
  });

  it('drops it on the routing host where that opens packets, and spends nothing', () => {
    const bench = new RoutingBench();
    const entry = bench.install(testSa({ spi: SPI }), { serving: [], isFallbackReady: true });
    const datagram = espInUdp(new EspPeer('aes128gcm16', SPI).seal(tcp()));
    bench.run(marked(datagram));
    expect([counted(bench.drops), bench.link.sent.length, entry.meter?.packets ?? 0]).to.deep.equal([
      { congestion: 1 },
      0,
      0,
    ]);
    bench.run(datagram);
    expect(bench.link.sent).to.have.lengthOf(1);
  });

  it('reaches the application of a target that gets its packets opened', () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }), { serving: [], isFallbackReady: true });
    const segment = tcp({ trafficClass: ECT0 });
    bench.run(marked(espInUdp(new EspPeer('aes128gcm16', SPI).seal(segment))));
    const [sent] = bench.link.sent;
    const vector = vectorOf(sent?.bytes ?? Buffer.alloc(0));
    const opener = bench.openers[sent?.peer ?? 0];
    if (opener !== undefined) openOne(opener, vector, 0, sent?.epoch ?? 0);
    takeCommitted(vector, 0);
    expect(readTrafficClass(vector.packet(0), 0)).to.equal(CE);
  });
});
