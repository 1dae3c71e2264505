import { expect } from 'chai';
import { Fragmenter } from '../../src/packet/fragmentation.ts';
import { IP_PROTOCOL } from '../../src/packet/protocols.ts';
import { counted, outcomes } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { addressesOf, CELLS, type Cell, cellSa, sealedBy } from '../support/family-cells.ts';
import {
  addr,
  CLIENT,
  CLIENT_INNER,
  DVIPA,
  ENDPOINT,
  espInUdp,
  ipv4,
  SYN,
  tcp,
  udp,
} from '../support/inner-packets.ts';
import { ipPacket, tcpSegment } from '../support/ip-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { RoutingBench } from './routing-bench.ts';
import { TargetBench } from './target-bench.ts';

const SPI = 0xc000_0001;

let identification = 7;

/** The fragments of a datagram, first one first. */
function cut(datagram: Buffer, mtu: number): Buffer[] {
  const pieces: Buffer[] = [];
  const take = (slab: Buffer, at: number, length: number) =>
    pieces.push(Buffer.from(slab.subarray(at, at + length)));
  identification++;
  const verdict = new Fragmenter(1500).cut(datagram, 0, datagram.length, { mtu, identification }, take);
  expect(verdict).to.equal(0);
  expect(pieces).to.have.lengthOf.above(1);
  return pieces;
}

describe('outer fragments', () => {
  const cells = CELLS.filter(({ mode, inside, outside }) => mode === 'tunnel' && inside === outside);
  const titleOf = ({ outside, isUdp }: Cell) => `IPv${outside}, ${isUdp ? 'ESP in UDP' : 'native ESP'}`;

  for (const cell of cells) {
    const { dvipa, endpoint, inner } = addressesOf(cell);
    const segment = tcpSegment({ source: inner, destination: dvipa, flags: SYN, data: 'x'.repeat(2000) });

    it(`are put together before ESP, in any order: ${titleOf(cell)}`, () => {
      for (const order of [
        [0, 1],
        [1, 0],
      ]) {
        const bench = new RoutingBench([0], [endpoint]);
        bench.install(cellSa(cell, 'in', SPI), { serving: [0] });
        const datagram = sealedBy(new EspPeer('aes128gcm16', SPI), cell, segment);
        const pieces = cut(datagram, 1280);
        for (const at of order) bench.run(pieces[at] as Buffer);
        expect(counted(bench.drops)).to.deep.equal({});
        expect(bench.link.sent).to.have.lengthOf(1);
        const target = new TargetBench();
        target.install(cellSa(cell, 'in', SPI));
        target.run((bench.link.sent[0] as { bytes: Buffer }).bytes);
        expect(target.tun.packets.map((packet) => packet.toString('hex'))).to.deep.equal([
          segment.toString('hex'),
        ]);
      }
    });

    it(`are lost as a whole when one overlaps another (RFC 5722): ${titleOf(cell)}`, () => {
      const bench = new RoutingBench([0], [endpoint]);
      bench.install(cellSa(cell, 'in', SPI), { serving: [0] });
      const [first, second] = cut(sealedBy(new EspPeer('aes128gcm16', SPI), cell, segment), 1280) as [
        Buffer,
        Buffer,
      ];
      const forged = Buffer.from(first);
      forged.writeUInt8(forged.readUInt8(200) ^ 1, 200);
      bench.run(first, forged, second);
      expect(bench.link.sent).to.have.lengthOf(0);
      expect(counted(bench.drops)).to.have.property('fragment-overlap');
    });
  }

  it('of IKE are charon’s: they are neither dispatched nor counted', () => {
    const bench = new RoutingBench();
    const ports = [
      [500, 500],
      [4500, 4500],
    ] as const;
    for (const [source, destination] of ports) {
      const marker = destination === 4500 ? Buffer.alloc(4) : Buffer.alloc(0);
      const message = Buffer.concat([marker, Buffer.alloc(2400, 0x5a)]);
      const datagram = udp({
        source: CLIENT,
        destination: ENDPOINT,
        sourcePort: source,
        destinationPort: destination,
        data: message,
      });
      bench.run(...cut(datagram, 1500));
    }
    expect(counted(bench.drops)).to.deep.equal({});
    expect(bench.link.sent).to.have.lengthOf(0);
  });

  it('of clear packets to a DVIPA are counted when they are whole', () => {
    const bench = new RoutingBench();
    const clear = ipv4({ source: CLIENT, destination: DVIPA, protocol: 253, payload: Buffer.alloc(2000) });
    bench.run(...cut(clear, 1500));
    expect(counted(bench.drops)).to.deep.equal({ clear: 1 });
  });

  it('that never become whole are counted when they are given up', () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }));
    const datagram = espInUdp(new EspPeer('aes128gcm16', SPI).seal(tcp({ data: 'x'.repeat(2000) })));
    const [first] = cut(datagram, 1500) as [Buffer];
    expect(outcomes(bench.run(first))).to.deep.equal(['elsewhere']);
    bench.inbound.tick(bench.now + 4999);
    expect(counted(bench.drops)).to.deep.equal({});
    bench.inbound.tick(bench.now + 5000);
    expect(counted(bench.drops)).to.deep.equal({ 'fragment-timeout': 1 });
  });

  it('are not for a target: it gets datagrams whole', () => {
    const target = new TargetBench();
    target.install(testSa({ spi: SPI }));
    target.run(...cut(espInUdp(new EspPeer('aes128gcm16', SPI).seal(tcp({ data: 'x'.repeat(2000) }))), 1500));
    expect(counted(target.drops)).to.deep.equal({ fragment: 2 });
  });
});

describe('inner fragments', () => {
  const setUp = () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }));
    const peer = new EspPeer('aes128gcm16', SPI);
    const sealed = (inner: Buffer) => espInUdp(peer.seal(inner));
    const targets = () => bench.link.take().map((packet) => packet.peer);
    return { bench, sealed, targets };
  };
  /** A UDP datagram in three pieces; each source port is another pseudo-connection. */
  const pieces = (sourcePort: number) =>
    cut(udp({ source: CLIENT_INNER, destination: DVIPA, sourcePort, data: Buffer.alloc(2500) }), 1000);

  it('all go where the first one goes, which shows the ports', () => {
    const { bench, sealed, targets } = setUp();
    const seen = new Set<number>();
    for (let port = 1000; port < 1030; port++) {
      for (const piece of pieces(port)) bench.run(sealed(piece));
      const went = targets();
      expect(went).to.have.lengthOf(3);
      expect(new Set(went).size, `port ${port}`).to.equal(1);
      for (const target of went) seen.add(target);
    }
    expect(
      [...seen].toSorted((a, b) => a - b),
      'by ports, not by addresses',
    ).to.deep.equal([0, 1, 2]);
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('wait a moment for the first one if it was overtaken, and no longer', () => {
    const { bench, sealed, targets } = setUp();
    const [first, second, third] = pieces(2000) as [Buffer, Buffer, Buffer];
    expect(outcomes(bench.run(sealed(second), sealed(third)))).to.deep.equal(['elsewhere', 'elsewhere']);
    bench.run(sealed(first));
    const went = targets();
    expect(went).to.have.lengthOf(3);
    expect(new Set(went).size).to.equal(1);
    bench.run(sealed((pieces(2001) as [Buffer, Buffer])[1]));
    bench.inbound.tick(bench.now + 100);
    expect(counted(bench.drops)).to.deep.equal({ 'fragment-timeout': 1 });
  });

  it('wait for the first one also while packets of their SA are forged in masses', () => {
    const { bench, sealed, targets } = setUp();
    for (const { suspicion } of bench.sad.values()) suspicion.wrong(100, bench.now);
    const [first, second] = pieces(2002) as [Buffer, Buffer];
    bench.run(sealed(second));
    bench.run(sealed(first));
    const went = targets();
    expect(went).to.have.lengthOf(2);
    expect(new Set(went).size).to.equal(1);
  });

  it('do not follow a target that is lost', () => {
    const { bench, sealed, targets } = setUp();
    const [first, second] = pieces(3000) as [Buffer, Buffer];
    bench.run(sealed(first));
    const [lost] = targets();
    bench.distributor.removeTarget(lost as number);
    expect(outcomes(bench.run(sealed(second)))).to.deep.equal(['elsewhere']);
  });
});

describe('inner fragments where ports matter (RFC 4301 section 7.3)', () => {
  const narrow = testSa({ spi: SPI, selector: { protocol: 17, fromPort: 53, toPort: 53 } });
  const peer = new EspPeer('aes128gcm16', SPI);
  const query = (destinationPort: number) =>
    cut(udp({ destinationPort, data: Buffer.alloc(1000, 'q') }), 576).map((piece) =>
      espInUdp(peer.seal(piece)),
    );

  it('pass on a target behind the first one, and never before it or without it', () => {
    const bench = new TargetBench();
    bench.install(narrow);
    const [first, later] = query(53) as [Buffer, Buffer];
    bench.run(later);
    expect(counted(bench.drops)).to.deep.equal({ 'tunnel-check': 1 });
    bench.run(first, espInUdp(peer.seal(peer.open(later.subarray(28))?.inner as Buffer)));
    expect(bench.tun.packets).to.have.lengthOf(2);
    const [refused, behindIt] = query(54) as [Buffer, Buffer];
    bench.run(refused, behindIt);
    expect(counted(bench.drops)).to.deep.equal({ 'tunnel-check': 3 });
  });

  it('pass the rules of a DVIPA as the first one does, where a rule names ports', () => {
    const bench = new TargetBench();
    const rules = [{ action: 'permit' as const, protocol: 17, fromPort: 53, toPort: 53 }];
    bench.install(testSa({ spi: SPI }), { rules });
    for (const port of [53, 54]) bench.run(...query(port));
    expect(bench.tun.packets).to.have.lengthOf(2);
    expect(counted(bench.drops)).to.deep.equal({ filter: 2 });
  });

  it('are dispatched behind the first one on the routing host, mode filter', () => {
    const bench = new RoutingBench([0]);
    const rules = [{ action: 'permit' as const, protocol: 17, fromPort: 53, toPort: 53 }];
    bench.install(narrow, { serving: [0], filterMode: 'filter', rules });
    bench.run(...query(53));
    expect(bench.link.sent).to.have.lengthOf(2);
    bench.run(...query(54));
    bench.now += 1000;
    bench.inbound.tick(bench.now);
    expect(bench.link.sent).to.have.lengthOf(2);
    expect(counted(bench.drops)).to.deep.equal({ 'tunnel-check': 1, 'fragment-timeout': 1 });
  });
});

describe('an ICMP error', () => {
  const bench4 = () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }));
    return { bench, peer: new EspPeer('aes128gcm16', SPI) };
  };
  /** "Fragmentation needed" about a segment that the DVIPA sent. */
  const error = (quoted: Buffer) =>
    ipv4({
      protocol: IP_PROTOCOL.ICMP,
      payload: Buffer.concat([Buffer.from('0304000000000514', 'hex'), quoted.subarray(0, 28)]),
    });

  it('goes to the target of the connection that it quotes, IPv4', () => {
    const { bench, peer } = bench4();
    for (let port = 41_000; port < 41_012; port++) {
      bench.run(espInUdp(peer.seal(tcp({ sourcePort: port }))));
      const answer = tcp({ source: DVIPA, destination: CLIENT_INNER, sourcePort: 80, destinationPort: port });
      bench.run(espInUdp(peer.seal(error(answer))));
      const [connection, message] = bench.link.take();
      expect(message?.peer, `port ${port}`).to.equal(connection?.peer);
    }
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('goes to the target of the connection that it quotes, IPv6, whose quote lies beyond the first blocks', () => {
    const cell = { outside: 6, inside: 6, mode: 'tunnel', isUdp: false } as const;
    const { dvipa, endpoint, inner } = addressesOf(cell);
    const bench = new RoutingBench([0, 1, 2], [endpoint]);
    bench.install(cellSa(cell, 'in', SPI));
    const peer = new EspPeer('aes128gcm16', SPI);
    for (let port = 42_000; port < 42_012; port++) {
      bench.run(
        sealedBy(peer, cell, tcpSegment({ source: inner, destination: dvipa, sourcePort: port, flags: SYN })),
      );
      const answer = tcpSegment({ source: dvipa, destination: inner, sourcePort: 80, destinationPort: port });
      const payload = Buffer.concat([Buffer.from('0200000000000500', 'hex'), answer]);
      const message = ipPacket({ source: inner, destination: dvipa, protocol: IP_PROTOCOL.ICMPV6, payload });
      bench.run(sealedBy(peer, cell, message));
      const [connection, told] = bench.link.take();
      expect(told?.peer, `port ${port}`).to.equal(connection?.peer);
    }
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('that quotes what the DVIPA did not send goes by its own addresses, and makes no entry', () => {
    const { bench, peer } = bench4();
    const foreign = tcp({ source: '203.0.113.99', destination: CLIENT_INNER, sourcePort: 80 });
    bench.run(espInUdp(peer.seal(error(foreign))), espInUdp(peer.seal(error(Buffer.alloc(28)))));
    expect(new Set(bench.link.take().map(({ peer: target }) => target)).size).to.equal(1);
    expect(bench.distributor.table.size).to.equal(0);
  });
});

describe('ICMP echo to the DVIPA', () => {
  it('goes to one target, whatever its type, code and identifier: it is answered once', () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }));
    const peer = new EspPeer('aes128gcm16', SPI);
    for (const echo of ['0800000000010001', '0800000077770002', '0d00000000010001', '0000000000010001'])
      bench.run(espInUdp(peer.seal(ipv4({ protocol: 1, payload: Buffer.from(echo, 'hex') }))));
    const went = bench.link.take().map((packet) => packet.peer);
    expect(went).to.have.lengthOf(4);
    expect(new Set(went).size).to.equal(1);
  });
});

describe('UDP to the DVIPA', () => {
  it('stays where it went first, and follows its pseudo-connection once that is confirmed', () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }));
    const peer = new EspPeer('aes128gcm16', SPI);
    const once = () => {
      bench.run(espInUdp(peer.seal(udp({ sourcePort: 5353 }))));
      return bench.link.take()[0]?.peer ?? -1;
    };
    const target = once();
    expect([once(), once()]).to.deep.equal([target, target]);
    expect(bench.distributor.table.size, 'nothing durable from what was only peeked at').to.equal(0);
    const [dvipa, source] = [addr(DVIPA), addr(CLIENT_INNER)];
    const key = { dvipa, source, group: 1, protocol: 17, sourcePort: 5353, destinationPort: 53 };
    const other = (target + 1) % 3;
    expect(bench.distributor.confirm(key, other, bench.now)).to.equal('new');
    expect(once()).to.equal(other);
  });
});
