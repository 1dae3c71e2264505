import { expect } from 'chai';
import { KeyedHash } from '../../src/connections/connection-key.ts';
import { DropCounters } from '../../src/base/verdict.ts';
import { Reassembler } from '../../src/packet/reassembly.ts';
import { hasValidUdpChecksum } from '../../src/packet/udp.ts';
import { counted } from '../support/dataplane-parts.ts';
import { EspPeer, PeerWindow } from '../support/esp-peer.ts';
import { addressesOf, type Cell, CELLS, cellSa, ipHeaderBytes } from '../support/family-cells.ts';
import { fragment4, fragment6 } from '../support/fragments.ts';
import { ACK, addr, reply } from '../support/inner-packets.ts';
import { ipPacket, tcpSegment } from '../support/ip-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { FunnelBench, FunnelTarget, openAll, OutboundBench } from './outbound-bench.ts';

const SPI = 0xc100_0001;
const SUITE = 'aes128gcm16';
const MINUTE = 60_000;

/** The datagrams that these packets are to their receiver. */
function wholes(packets: readonly Buffer[]): Buffer[] {
  const reassembler = new Reassembler({
    hash: new KeyedHash(Buffer.alloc(8, 1)),
    drops: new DropCounters(),
    limits: { datagramsPerSource: 1024, bytesPerSource: 8 * 2 ** 20 },
  });
  return packets.flatMap((packet) =>
    reassembler.take(packet, 0, packet.length, 0) === 0
      ? [Buffer.from(reassembler.slab.subarray(0, reassembler.length))]
      : [],
  );
}

describe('the funnel on a path that is narrower than its targets know', () => {
  const full = () => reply({ data: 'x'.repeat(1300), hasDontFragment: true });
  const setUp = () => {
    const bench = new FunnelBench();
    const entry = bench.install(testSa({ spi: SPI, direction: 'out' }));
    const target = new FunnelTarget('target1');
    return { bench, entry, target };
  };

  it('cuts what has DF, since it can tell no sender, and loses nothing', () => {
    const { bench, entry, target } = setUp();
    entry.fit.lower(1000, 0, bench.now);
    bench.run(target, [target.seal(full())]);
    const sent = bench.raw.take();
    expect(counted(bench.drops)).to.deep.equal({});
    expect(sent.map(({ length }) => length <= 1000)).to.deep.equal([true, true]);
    const [opened] = openAll(wholes(sent), new EspPeer(SUITE, SPI));
    expect(opened?.inner.equals(full())).to.equal(true);
  });

  it('forgets what it was told after ten minutes: packets of full size leave whole again', () => {
    const { bench, entry, target } = setUp();
    entry.fit.lower(1000, 0, bench.now);
    bench.now += 10 * MINUTE;
    bench.run(target, [target.seal(full())]);
    expect(bench.raw.take().map(({ length }) => length > 1300)).to.deep.equal([true]);
  });
});

describe('a path that gets narrower while packets wait for numbers', () => {
  it('they are cut, and the peer gets them in order, within a narrow window', () => {
    const bench = new OutboundBench();
    const entry = bench.install(testSa({ spi: SPI, direction: 'out' }));
    const packets = Array.from({ length: 64 }, (_, i) =>
      reply({ data: `${i} `.padEnd(i % 3 === 0 ? 1300 : 30, 'x'), hasDontFragment: true }),
    );
    bench.run(...packets);
    entry.fit.lower(1000, 0, bench.now);
    bench.grant(entry, 1, 64);
    const peer = new EspPeer(SUITE, SPI);
    const window = new PeerWindow(4);
    const opened = openAll(wholes(bench.raw.take()), peer);
    expect(opened.map((one) => window.accept(one?.sequence ?? 0))).to.deep.equal(packets.map(() => true));
    expect(opened.map((one) => one?.inner.toString('hex'))).to.deep.equal(
      packets.map((one) => one.toString('hex')),
    );
    expect(new Set(opened.map((one) => one?.iv)).size).to.equal(64);
    expect(counted(bench.drops)).to.deep.equal({});
  });
});

describe('a path over IPv6 that is narrower than an SA in UDP knows', () => {
  const cell = CELLS.find(({ outside, isUdp }) => outside === 6 && isUdp) as Cell;

  it('gets pieces of a datagram that has its checksum: nobody could sum it later', () => {
    const bench = new OutboundBench();
    const entry = bench.install(cellSa(cell, 'out', SPI));
    const { dvipa: source, inner: destination, endpoint, peer } = addressesOf(cell);
    for (const data of ['x'.repeat(1250), 'short']) bench.run(tcpSegment({ source, destination, data }));
    entry.fit.lower(1300, 0, bench.now); // while they wait for numbers
    bench.grant(entry, 1, 64);
    const sent = bench.raw.take();
    expect(sent).to.have.lengthOf(3);
    const [long] = wholes(sent) as [Buffer];
    const isRight = hasValidUdpChecksum(long, 40, long.length - 40, addr(endpoint), 0, addr(peer), 0);
    expect(isRight).to.equal(true);
  });
});

/** UDP to the peer in fragments, as this host's kernel cuts it. */
function fragments(cell: Cell, identification: number, dataBytes: number): Buffer[] {
  const { dvipa: source, inner: destination } = addressesOf(cell);
  const data = Buffer.alloc(dataBytes, identification);
  data.writeUInt16BE(80, 0);
  data.writeUInt16BE(4000, 2);
  data.writeUInt16BE(dataBytes, 4);
  const room = 1304;
  return Array.from({ length: Math.ceil(dataBytes / room) }, (_, n) => {
    const offset = n * room;
    const part = data.subarray(offset, offset + room);
    const hasMore = offset + room < dataBytes;
    const piece = { source, destination, protocol: 17, identification, offset, hasMore, data: part };
    return cell.inside === 4 ? fragment4(piece) : fragment6(piece);
  });
}

const transport = CELLS.filter(({ mode, isUdp }) => mode === 'transport' && isUdp);

for (const cell of transport) {
  describe(`transport mode over IPv${cell.outside}`, () => {
    const leased = (mtu = 1500) => {
      const bench = new OutboundBench();
      bench.limits = { outside: mtu, cluster: mtu };
      const entry = bench.install(cellSa(cell, 'out', SPI));
      const { dvipa, inner } = addressesOf(cell);
      const first = tcpSegment({ source: dvipa, destination: inner, flags: ACK, data: 'first' });
      bench.run(first);
      bench.grant(entry, 1, 4096);
      bench.raw.take();
      return { bench, entry };
    };
    const sizesOf = (sent: readonly Buffer[]) =>
      openAll(
        wholes(sent).map((whole) => whole.subarray(ipHeaderBytes(cell.outside) - 20)),
        new EspPeer(SUITE, SPI),
      ).map((one) => one?.inner.length);

    it('loses none of many datagrams that become whole in one vector', () => {
      const { bench } = leased();
      const datagrams = Array.from({ length: 60 }, (_, n) => fragments(cell, n + 1, 4500));
      const last = datagrams.map((pieces) => pieces.pop() as Buffer);
      for (const pieces of datagrams) bench.run(...pieces);
      expect(bench.raw.packets).to.have.lengthOf(0);
      bench.run(...last);
      expect(counted(bench.drops)).to.deep.equal({});
      expect(sizesOf(bench.raw.take())).to.deep.equal(last.map(() => 4500));
    });

    it('cuts jumbo frames of a link of 9000 as well', () => {
      const { bench, entry } = leased(9000);
      bench.run(...fragments(cell, 1, 30_000));
      const sent = bench.raw.take();
      expect(sent.map(({ length }) => length <= 9000)).to.deep.equal([true, true, true, true]);
      expect(sent.some(({ length }) => length > 8900)).to.equal(true);
      expect(sizesOf(sent)).to.deep.equal([30_000]);
      expect(entry.fit.outerMtu).to.equal(9000);
    });
  });
}

describe('jumbo frames in tunnel mode', () => {
  it('are cut inside into pieces of the path’s size, first one first', () => {
    const bench = new OutboundBench();
    bench.limits = { outside: 9000, cluster: 9000 };
    const entry = bench.install(
      testSa({ spi: SPI, direction: 'out', selector: { protocol: 17, fromPort: 80, toPort: 80 } }),
    );
    const [cell] = CELLS.filter(({ outside, inside, mode }) => mode === 'tunnel' && outside + inside === 8);
    const { dvipa: source, inner: destination } = addressesOf(cell as Cell);
    const payload = Buffer.alloc(3800);
    payload.writeUInt16BE(80, 0);
    bench.run(ipPacket({ source, destination, protocol: 17, payload }));
    bench.grant(entry, 1, 64);
    expect(bench.raw.take()).to.have.lengthOf(1);
    entry.fit.lower(2000, 0, bench.now);
    bench.run(ipPacket({ source, destination, protocol: 17, payload }));
    const opened = openAll(bench.raw.take(), new EspPeer(SUITE, SPI));
    expect(opened.map((one) => one?.sequence)).to.deep.equal([2, 3]);
    expect(
      wholes(opened.map((one) => one?.inner as Buffer))[0]
        ?.subarray(20)
        .equals(payload),
    ).to.equal(true);
    expect(counted(bench.drops)).to.deep.equal({});
  });
});
