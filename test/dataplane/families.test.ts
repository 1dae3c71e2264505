import { expect } from 'chai';
import { AddressSet } from '../../src/packet/address-map.ts';
import { LINK_PROTOCOL } from '../../src/dataplane/ports.ts';
import { counted } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import {
  type Cell,
  CELLS,
  addressesOf,
  cellSa,
  ipHeaderBytes,
  nextHeaderOf,
  sealedBy,
} from '../support/family-cells.ts';
import { addr, CLIENT, CLIENT6, DVIPA6, ENDPOINT, SYN } from '../support/inner-packets.ts';
import { espDatagram, ipPacket, tcpSegment } from '../support/ip-packets.ts';
import { OutboundBench } from './outbound-bench.ts';
import { RoutingBench } from './routing-bench.ts';
import { TargetBench } from './target-bench.ts';
import { entriesOf } from '../support/table-entries.ts';

const SPI = 0xc000_0001;

function titleOf({ outside, inside, mode, isUdp }: Cell): string {
  return `${mode} mode, IPv${inside} over IPv${outside}, ${isUdp ? 'in UDP' : 'native'}`;
}

for (const cell of CELLS) {
  describe(titleOf(cell), () => {
    const { dvipa, endpoint, peer: peerAddress, inner } = addressesOf(cell);
    const suite = 'aes128gcm16';
    const segment = tcpSegment({ source: inner, destination: dvipa, flags: SYN, data: 'hello' });

    it('is dispatched by what the peek shows, whole and as it came', () => {
      const bench = new RoutingBench([0, 1, 2], [endpoint]);
      bench.install(cellSa(cell, 'in', SPI));
      const datagram = sealedBy(new EspPeer(suite, SPI), cell, segment);
      const vector = bench.run(datagram);
      expect(counted(bench.drops)).to.deep.equal({});
      const [sent] = bench.link.sent;
      expect(sent?.bytes.toString('hex')).to.equal(datagram.toString('hex'));
      expect(sent?.protocol).to.equal(
        cell.outside === 4 ? LINK_PROTOCOL.OUTER_IPV4 : LINK_PROTOCOL.OUTER_IPV6,
      );
      expect([
        vector.family[0],
        vector.sourcePort[0],
        vector.destinationPort[0],
        vector.tcpFlags[0],
      ]).to.deep.equal([cell.inside, 40_000, 80, SYN]);
      expect(entriesOf(bench.distributor.table, bench.now)).to.have.lengthOf(1);
    });

    it('is opened on a target to the packet that was sealed', () => {
      const bench = new TargetBench();
      bench.addresses = { ...bench.addresses, endpoints: new AddressSet([addr(endpoint)]) };
      bench.install(cellSa(cell, 'in', SPI));
      bench.run(sealedBy(new EspPeer(suite, SPI), cell, segment));
      expect(counted(bench.drops)).to.deep.equal({});
      expect(bench.tun.packets.map((packet) => packet.toString('hex'))).to.deep.equal([
        segment.toString('hex'),
      ]);
    });

    // A NAT may have moved the peer: that a target must see. There is no one else who can tell.
    const refusing = cell.mode === 'transport' && cell.isUdp ? 'on a target' : 'on both hosts';
    it(`refuses an inner packet of another peer, ${refusing}`, () => {
      const other = cell.inside === 4 ? '10.9.9.9' : '2001:db8:9::9';
      const foreign = tcpSegment({ source: other, destination: dvipa, flags: SYN });
      const [routing, target] = [new RoutingBench([0], [endpoint]), new TargetBench()];
      target.addresses = { ...target.addresses, endpoints: new AddressSet([addr(endpoint)]) };
      for (const bench of [routing, target]) {
        bench.install(cellSa(cell, 'in', SPI));
        let datagram = sealedBy(new EspPeer(suite, SPI), cell, foreign);
        // In transport mode the foreign address is the outer one.
        if (cell.mode === 'transport') {
          const ports = cell.isUdp ? ([4500, 4500] as const) : undefined;
          const esp = datagram.subarray(ipHeaderBytes(cell.outside) + (cell.isUdp ? 8 : 0));
          datagram = espDatagram(esp, { source: other, destination: endpoint, ports });
        }
        bench.run(datagram);
        const isRefused = bench === target || refusing === 'on both hosts';
        expect(counted(bench.drops)).to.deep.equal(isRefused ? { 'tunnel-check': 1 } : {});
      }
    });

    it('is sealed for the peer with the outer headers of the SA', () => {
      const bench = new OutboundBench();
      const entry = bench.install(cellSa(cell, 'out', SPI));
      const answer = tcpSegment({
        source: dvipa,
        destination: inner,
        sourcePort: 80,
        destinationPort: 40_000,
        data: 'world',
        hopLimit: 33,
      });
      bench.run(answer);
      bench.grant(entry, 1, 64);
      expect(counted(bench.drops)).to.deep.equal({});
      const sent = bench.raw.packets[0] as Buffer;
      const headerBytes = ipHeaderBytes(cell.outside);
      const upper = headerBytes + (cell.isUdp ? 8 : 0);
      const esp = sent.subarray(upper);
      const opened = new EspPeer(suite, SPI).open(esp);
      const expected = cell.mode === 'transport' ? answer.subarray(ipHeaderBytes(cell.inside)) : answer;
      expect(opened?.inner.toString('hex')).to.equal(expected.toString('hex'));
      expect(opened?.nextHeader).to.equal(nextHeaderOf(cell));
      // The header byte for byte, but for checksums that the raw socket fills in: of IPv4, and of UDP over IPv6.
      const ports = cell.isUdp ? ([4500, 4500] as const) : undefined;
      const wanted = espDatagram(esp, { source: endpoint, destination: peerAddress, ports });
      if (cell.mode === 'transport') wanted.writeUInt8(33, cell.outside === 4 ? 8 : 7); // the inner header's own
      // IPv6 is never fragmented on its way, so the header in front of it has DF, as Linux has it.
      if (cell.inside === 6 && cell.outside === 4) wanted.writeUInt16BE(0x4000, 6);
      const checksumAt = cell.outside === 4 ? [10, 11] : [46, 47];
      const bytes = (packet: Buffer) =>
        [...packet.subarray(0, upper)].filter((_, at) => !checksumAt.includes(at));
      expect(bytes(sent)).to.deep.equal(bytes(wanted));
      if (cell.isUdp) expect(sent.readUInt16BE(headerBytes + 6)).to.equal(0);
    });
  });
}

describe('transport mode through a NAT', () => {
  for (const cell of CELLS.filter(({ mode, isUdp }) => mode === 'transport' && isUdp)) {
    it(`gives the segment a checksum for the addresses that it has here, IPv${cell.inside} (RFC 3948 section 3.1.2)`, () => {
      const { dvipa, inner } = addressesOf(cell);
      const behind = cell.inside === 4 ? '192.168.7.7' : '2001:db8:77::7';
      const ports = { sourcePort: 40_000, destinationPort: 80, data: 'through a NAT' };
      const wanted = tcpSegment({ source: inner, destination: dvipa, ...ports });
      const summed = tcpSegment({ source: inner, destination: dvipa, ...ports, summedFor: [behind, dvipa] });
      expect(summed.equals(wanted)).to.equal(false);
      const bench = new TargetBench();
      bench.addresses = { ...bench.addresses, endpoints: new AddressSet([addr(dvipa)]) };
      bench.install(cellSa(cell, 'in', SPI));
      bench.run(sealedBy(new EspPeer('aes128gcm16', SPI), cell, summed));
      expect(bench.tun.packets.map((packet) => packet.toString('hex'))).to.deep.equal([
        wanted.toString('hex'),
      ]);
    });
  }

  it('leaves a checksum alone where ESP is native: nothing translates it', () => {
    const cell = { outside: 4, inside: 4, mode: 'transport', isUdp: false } as const;
    const { dvipa, inner } = addressesOf(cell);
    const wrong = tcpSegment({ source: inner, destination: dvipa, summedFor: ['192.168.7.7', dvipa] });
    const bench = new TargetBench();
    bench.addresses = { ...bench.addresses, endpoints: new AddressSet([addr(dvipa)]) };
    bench.install(cellSa(cell, 'in', SPI));
    bench.run(sealedBy(new EspPeer('aes128gcm16', SPI), cell, wrong));
    expect(bench.tun.packets.map((packet) => packet.toString('hex'))).to.deep.equal([wrong.toString('hex')]);
  });
});

describe('an IPv6 packet with an IPv4-mapped address', () => {
  it('is malformed, outside and inside: it would be taken for IPv4', () => {
    const cell = { outside: 4, inside: 4, mode: 'tunnel', isUdp: true } as const;
    const bench = new RoutingBench();
    bench.install(cellSa(cell, 'in', SPI));
    const mapped = ipPacket({ source: CLIENT6, destination: DVIPA6, protocol: 6, payload: Buffer.alloc(20) });
    mapped.fill(0, 8, 18);
    mapped.writeUInt16BE(0xffff, 18);
    mapped.set([10, 1, 1, 1], 20);
    const esp = new EspPeer('aes128gcm16', SPI).seal(mapped, 1, { nextHeader: 41 });
    bench.run(mapped, espDatagram(esp, { source: CLIENT, destination: ENDPOINT, ports: [4500, 4500] }));
    expect(counted(bench.drops)).to.deep.equal({ malformed: 1, 'peek-malformed': 1 });
  });
});
