import { expect } from 'chai';
import { AddressSet } from '../../src/packet/address-map.ts';
import { outcomes } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { addressesOf, type Cell, CELLS, cellSa, sealedBy } from '../support/family-cells.ts';
import { ACK, addr, SYN } from '../support/inner-packets.ts';
import { tcpSegment } from '../support/ip-packets.ts';
import { OutboundBench } from './outbound-bench.ts';
import { RoutingBench } from './routing-bench.ts';
import { ReusedVector } from './run-packets.ts';
import { TargetBench } from './target-bench.ts';

const SPI = 0xc000_0001;
/** Flags and the peer's port of packets behind each other; which of them go on with a run. */
const SEGMENTS = [
  [ACK, 40_000],
  [ACK, 40_000],
  [ACK, 40_000],
  [ACK, 40_001],
  [ACK, 40_001],
  [SYN, 40_001],
  [ACK, 40_001],
  [ACK, 40_001],
] as const;
const FOLLOWS = [0, 1, 1, 0, 1, 0, 0, 1];

/** The same twice, in a vector that knows runs and in one that does not; which columns the first one had at the end. */
function bothWays(act: (reused: ReusedVector) => unknown) {
  const [fast, plain] = [new ReusedVector(true), new ReusedVector(false)];
  expect(act(fast)).to.deep.equal(act(plain));
  const { sameOuter, sameInner, count } = fast.vector;
  return { outer: [...sameOuter.subarray(0, count)], inner: [...sameInner.subarray(0, count)] };
}

function datagramsOf(cell: Cell): Buffer[] {
  const { inner, dvipa } = addressesOf(cell);
  const peer = new EspPeer('aes128gcm16', SPI);
  return SEGMENTS.map(([flags, sourcePort]) =>
    sealedBy(peer, cell, tcpSegment({ source: inner, destination: dvipa, flags, sourcePort })),
  );
}

for (const cell of CELLS) {
  const { outside, inside, mode, isUdp } = cell;
  describe(`runs in ${mode} mode, IPv${inside} over IPv${outside}, ${isUdp ? 'in UDP' : 'native'}`, () => {
    const { dvipa, endpoint, inner } = addressesOf(cell);
    const datagrams = datagramsOf(cell);
    const outer = SEGMENTS.map((_, n) => (n === 0 ? 0 : 1));

    it('are routed as packets one by one', () => {
      const same = bothWays((reused) => {
        const bench = new RoutingBench([0, 1, 2], [endpoint]);
        const entry = bench.install(cellSa(cell, 'in', SPI));
        const vector = reused.fill(datagrams);
        bench.inbound.run(vector, bench.now);
        return [outcomes(vector), bench.link.take(), entry.owners.snapshot(), bench.drops.toJSON()];
      });
      expect(same.outer).to.deep.equal(outer);
      expect(same.inner).to.deep.equal(FOLLOWS);
    });

    it('reach a target as packets one by one', () => {
      const same = bothWays((reused) => {
        const bench = new TargetBench();
        bench.addresses = { ...bench.addresses, endpoints: new AddressSet([addr(endpoint)]) };
        const entry = bench.install(cellSa(cell, 'in', SPI));
        const vector = reused.fill(datagrams);
        bench.inbound.run(vector, bench.epoch, bench.epoch, bench.addresses, bench.floor);
        return [outcomes(vector), bench.tun.take(), entry.window.snapshot(), bench.drops.toJSON()];
      });
      expect(same.outer).to.deep.equal(outer);
      expect(same.inner).to.deep.equal(FOLLOWS);
    });

    it('leave a target as packets one by one', () => {
      const segments = SEGMENTS.map(([flags, destinationPort]) =>
        tcpSegment({ source: dvipa, destination: inner, sourcePort: 80, destinationPort, flags }),
      );
      const same = bothWays((reused) => {
        const bench = new OutboundBench();
        const entry = bench.install(cellSa(cell, 'out', SPI));
        bench.run(segments[0] as Buffer);
        bench.grant(entry, 1, 64);
        const vector = reused.fill(segments);
        bench.outbound.run(vector, bench.now);
        return [outcomes(vector), bench.raw.take(), bench.drops.toJSON()];
      });
      expect(same.inner).to.deep.equal(FOLLOWS);
    });
  });
}
