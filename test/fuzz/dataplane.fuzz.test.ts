import { expect } from 'chai';
import * as fc from 'fast-check';
import { AddressSet } from '../../src/packet/address-map.ts';
import { RoutingBench } from '../dataplane/routing-bench.ts';
import { FunnelBench, FunnelTarget, OutboundBench } from '../dataplane/outbound-bench.ts';
import { TargetBench } from '../dataplane/target-bench.ts';
import { counted } from '../support/dataplane-parts.ts';
import { ESP_SUITES, EspPeer } from '../support/esp-peer.ts';
import { addressesOf, CELLS, cellSa, sealedBy } from '../support/family-cells.ts';
import { addr, espInUdp, icmpEcho, ipv4, reply, tcp, udp } from '../support/inner-packets.ts';
import { tcpSegment } from '../support/ip-packets.ts';
import { testSa } from '../support/test-sas.ts';

const SPI = 0xc000_0001;
const RUNS = { numRuns: 200, seed: 20_261_123 };

const inner = fc.oneof(
  fc.constantFrom(tcp(), udp({}), icmpEcho(), tcp({ data: 'some data' }), ipv4({ protocol: 50 })),
  fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
);

/** Genuine packets of one SA, some of them with bytes changed, cut off or added; and plain noise. */
const packets = (seal: (inner: Buffer, n: number) => Buffer) =>
  fc
    .array(
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            inner,
            at: fc.nat(120),
            xor: fc.nat(255),
            cut: fc.nat(40),
            n: fc.integer({ min: 1, max: 40 }),
          }),
        },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
      ),
      { minLength: 1, maxLength: 20 },
    )
    .map((made) =>
      made.map((one) => {
        if (one instanceof Uint8Array) return Buffer.from(one);
        const sealed = seal(one.inner, one.n);
        if (one.xor % 3 === 0 && one.at < sealed.length)
          sealed.writeUInt8(sealed.readUInt8(one.at) ^ one.xor, one.at);
        return one.cut > 30 ? sealed.subarray(0, Math.max(0, sealed.length - one.cut)) : sealed;
      }),
    );

/** Without the IP header: in transport mode that is the outer one, which nobody vouches for. */
function payloadOf(packet: Buffer): string {
  return packet.subarray(packet.readUInt8(0) >> 4 === 6 ? 40 : 20).toString('hex');
}

const total = (drops: Parameters<typeof counted>[0]) =>
  Object.values(counted(drops)).reduce((sum, count) => sum + count, 0);

describe('data plane under fuzz: never throws, and accounts for every packet once', () => {
  for (const suite of ESP_SUITES) {
    const peer = new EspPeer(suite, SPI);
    const esp = packets((one, n) => espInUdp(peer.seal(one, n)));

    it(`routing host's way in (${suite})`, () => {
      fc.assert(
        fc.property(esp, (datagrams) => {
          const bench = new RoutingBench();
          bench.install(testSa({ spi: SPI, suite }));
          bench.run(...datagrams);
          const held = bench.inbound.held + bench.opening.waiting;
          expect(bench.link.sent.length + held + total(bench.drops)).to.equal(datagrams.length);
        }),
        RUNS,
      );
    });

    it(`a target's way in: what reaches the TUN was sealed by the peer, and no number comes twice (${suite})`, () => {
      fc.assert(
        fc.property(esp, (datagrams) => {
          const bench = new TargetBench();
          const entry = bench.install(testSa({ spi: SPI, suite }));
          bench.run(...datagrams);
          bench.run(...datagrams);
          expect(bench.tun.packets.length + total(bench.drops)).to.equal(2 * datagrams.length);
          expect(bench.tun.packets.length).to.be.at.most(entry.committed.count);
          expect(entry.committed.count).to.be.at.most(40);
          expect(entry.meter.packets).to.equal(entry.committed.count);
        }),
        RUNS,
      );
    });
  }

  for (const cell of CELLS) {
    const title = `${cell.mode} mode, IPv${cell.inside} over IPv${cell.outside}, ${cell.isUdp ? 'UDP' : 'native'}`;
    const { dvipa, endpoint, inner: peerInner } = addressesOf(cell);
    const segment = tcpSegment({ source: peerInner, destination: dvipa, flags: 2, data: 'some data' });
    const peer = new EspPeer('aes128gcm16', SPI);
    const datagrams = packets((_, n) => sealedBy(peer, cell, segment, n));

    it(`both hosts: what reaches the TUN is what the peer sealed (${title})`, () => {
      fc.assert(
        fc.property(datagrams, (made) => {
          const routing = new RoutingBench([0, 1], [endpoint]);
          routing.install(cellSa(cell, 'in', SPI));
          routing.run(...made);
          const held = routing.inbound.held + routing.opening.waiting;
          expect(routing.link.sent.length + held + total(routing.drops)).to.equal(made.length);
          const target = new TargetBench();
          target.addresses = { ...target.addresses, endpoints: new AddressSet([addr(endpoint)]) };
          target.install(cellSa(cell, 'in', SPI));
          target.run(...made);
          expect(target.tun.packets.length + total(target.drops)).to.equal(made.length);
          for (const packet of target.tun.packets) expect(payloadOf(packet)).to.equal(payloadOf(segment));
        }),
        { ...RUNS, numRuns: 100 },
      );
    });
  }

  it("a target's way out", () => {
    fc.assert(
      fc.property(
        packets((one) => Buffer.from(one)),
        fc.constantFrom('funnel', 'lease', 'none'),
        (inners, way) => {
          const bench = new OutboundBench();
          const entry = bench.install(testSa({ spi: SPI, direction: 'out' }));
          if (way === 'funnel') bench.way(entry, 'funnel');
          bench.run(...inners, reply());
          if (way === 'lease') bench.grant(entry, 1, 64);
          bench.outbound.tick(bench.now + 1000);
          expect(bench.raw.packets.length + bench.funnelled.length + total(bench.drops)).to.equal(
            inners.length + 1,
          );
          if (way === 'none') expect(bench.raw.packets.length + bench.funnelled.length).to.equal(0);
        },
      ),
      RUNS,
    );
  });

  it('the funnel', () => {
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.nat()),
        packets((one) => Buffer.from(one)),
        (noise, inners) => {
          const bench = new FunnelBench();
          bench.install(testSa({ spi: SPI, direction: 'out' }));
          const target = new FunnelTarget('target1');
          const sealed = inners.map((one) => {
            const packet = target.seal(one);
            const at = noise.next().value as number;
            if (at % 4 === 0) packet.writeUInt8(packet.readUInt8(at % packet.length) ^ 1, at % packet.length);
            return packet;
          });
          bench.run(target, [...sealed, target.seal(reply())]);
          bench.run(target, sealed);
          expect(bench.raw.packets.length + total(bench.drops)).to.equal(2 * sealed.length + 1);
          expect(bench.raw.packets).to.have.lengthOf.at.least(1);
        },
      ),
      RUNS,
    );
  });
});
