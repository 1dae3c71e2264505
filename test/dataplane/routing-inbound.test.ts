import { expect } from 'chai';
import { LINK_PROTOCOL } from '../../src/dataplane/ports.ts';
import { packNumbers } from '../../src/ipsec/number-ranges.ts';
import { counted, outcomes } from '../support/dataplane-parts.ts';
import { ESP_SUITES, EspPeer } from '../support/esp-peer.ts';
import { ACK, DVIPA, espInUdp, addr, RST, tcp } from '../support/inner-packets.ts';
import { type SaTest, testSa } from '../support/test-sas.ts';
import { type EspVector, keysOf } from '../support/crypto-batch.ts';
import { fromHex, readVectors } from '../support/vectors.ts';
import { type InstallOptions, RoutingBench } from './routing-bench.ts';

const SPI = 0xc000_0001;
describe('routing-inbound', () => {
  const setUp = (options: InstallOptions = {}, sa: Partial<SaTest> = {}) => {
    const bench = new RoutingBench();
    const entry = bench.install(testSa({ spi: SPI, ...sa }), options);
    return { bench, entry, peer: new EspPeer(sa.suite ?? 'aes128gcm16', SPI) };
  };

  for (const suite of ESP_SUITES) {
    it(`sends the datagram on as it was received (${suite})`, () => {
      const { bench, peer } = setUp({}, { suite });
      const datagram = espInUdp(peer.seal(tcp({ data: 'GET / HTTP/1.1' })));
      bench.run(datagram);
      const [sent] = bench.link.sent;
      expect(sent?.bytes.equals(datagram)).to.equal(true);
      expect(sent).to.include({ protocol: LINK_PROTOCOL.OUTER_IPV4, epoch: 3, dispatch: 1 });
    });
  }

  it('dispatches what scapy sealed', () => {
    const { vectors } = readVectors('esp-scapy.json') as { vectors: EspVector[] };
    for (const vector of vectors.filter(({ it: name }) => name.endsWith('tcp syn'))) {
      const bench = new RoutingBench();
      // ESN: the number's high half is 1, which only a window that has come so far can infer.
      const entry = bench.install({
        ...testSa({ spi: vector.spi, hasEsn: vector.hasEsn }),
        ...keysOf(vector),
        spi: vector.spi as never,
      });
      if (vector.hasEsn)
        entry.owners.merge({ top: BigInt(vector.sequence) - 10n, bitmap: new Uint8Array(8) });
      bench.run(espInUdp(fromHex(vector.esp)));
      expect(counted(bench.drops), vector.it).to.deep.equal({});
      expect(bench.link.sent, vector.it).to.have.lengthOf(1);
    }
  });

  it('spreads new connections by round robin and keeps each on its target', () => {
    const { bench, peer } = setUp();
    const open = [1, 2, 3, 4].map((n) => espInUdp(peer.seal(tcp({ sourcePort: 40_000 + n }))));
    bench.run(...open);
    const targets = new Map(
      bench.link.take().map(({ peer: target, dispatch }) => [`${target}/${dispatch}`, target]),
    );
    expect([...targets.values()].toSorted((a, b) => a - b)).to.deep.equal([0, 0, 1, 2]);
    bench.run(espInUdp(peer.seal(tcp({ sourcePort: 40_001, flags: ACK }))));
    bench.run(espInUdp(peer.seal(tcp({ sourcePort: 40_001, flags: ACK }))));
    expect(new Set(bench.link.take().map(({ peer: target }) => target)).size).to.equal(1);
  });

  it('makes no durable entry from what it peeked: only a target confirms, and a forged RST ends nothing', () => {
    const { bench, peer } = setUp();
    bench.run(espInUdp(peer.seal(tcp())), espInUdp(peer.seal(tcp({ flags: ACK, sourcePort: 9 }))));
    const { table } = bench.distributor;
    expect(table.confirmedCount).to.equal(0);
    expect(table.tentativeCount).to.equal(1);
    const key = {
      dvipa: addr(DVIPA),
      group: 1,
      protocol: 6,
      source: addr('10.1.1.1'),
      sourcePort: 40_000,
      destinationPort: 80,
    };
    const target = table.lookup(key);
    expect(bench.distributor.confirm(key, target, bench.now)).to.equal('new');
    bench.run(espInUdp(peer.seal(tcp({ flags: RST }))), espInUdp(peer.seal(tcp())));
    expect(table.confirmedCount).to.equal(1);
    expect(table.lookup(key)).to.equal(target);
    bench.now += 6000;
    table.sweep(bench.now, 1 << 20);
    expect(table.tentativeCount).to.equal(0);
    expect(table.lookup(key)).to.equal(target);
  });

  it('moves no window by what passes: a forged number in front costs genuine packets nothing', () => {
    const { bench, entry, peer } = setUp();
    bench.run(
      espInUdp(peer.seal(tcp({ flags: ACK }), 0xffff_fff0)),
      espInUdp(peer.seal(tcp({ flags: ACK }), 1)),
    );
    expect(entry.owners.top).to.equal(0n);
    expect(bench.link.sent).to.have.lengthOf(2);
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('drops a number that a target has reported, before any target sees it', () => {
    const { bench, entry, peer } = setUp();
    const datagram = espInUdp(peer.seal(tcp()));
    bench.run(datagram);
    const target = bench.link.take()[0]?.peer ?? -1;
    expect(entry.owners.reported(target, packNumbers([1n]), 1)).to.deep.equal({ committed: 1, refused: 0 });
    expect(outcomes(bench.run(datagram))).to.deep.equal(['replay']);
    expect(bench.link.sent).to.deep.equal([]);
  });

  it('lets a replayed SYN leave no trace in the connection table, nor be counted as anything else', () => {
    const { bench, entry, peer } = setUp();
    const [datagram, foreign] = [tcp(), tcp({ source: '10.9.9.9' })].map((inner) =>
      espInUdp(peer.seal(inner, 1)),
    );
    bench.run(datagram as Buffer);
    entry.owners.reported(bench.link.take()[0]?.peer ?? -1, packNumbers([1n]), 1);
    bench.distributor.table.removeGroup(1);
    expect(outcomes(bench.run(datagram as Buffer, foreign as Buffer))).to.deep.equal(['replay', 'replay']);
    expect(bench.distributor.table.size).to.equal(0);
  });

  it('sends a repeated number to the same target only (its window decides)', () => {
    const { bench, peer } = setUp();
    const datagram = espInUdp(peer.seal(tcp()));
    bench.run(datagram, datagram);
    expect(bench.link.sent.map(({ peer: target, dispatch }) => [target, dispatch])).to.deep.equal([
      [0, 1],
      [0, 2],
    ]);
  });

  it('believes no report about numbers that the target was not given', () => {
    const { bench, entry, peer } = setUp();
    bench.run(espInUdp(peer.seal(tcp())));
    const owner = bench.link.take()[0]?.peer ?? -1;
    const other = (owner + 1) % 3;
    expect(entry.owners.reported(other, packNumbers([1n, 900n]), 0)).to.deep.equal({
      committed: 0,
      refused: 2,
    });
    expect(entry.owners.top).to.equal(0n);
  });

  it('refuses a burnt number from then on: its target was lost, so nobody knows', () => {
    const { bench, entry, peer } = setUp();
    const datagram = espInUdp(peer.seal(tcp()));
    bench.run(datagram);
    const owner = bench.link.take()[0]?.peer ?? -1;
    expect(entry.owners.targetLost(owner)).to.equal(1);
    entry.serving.delete(owner);
    bench.distributor.removeTarget(owner);
    expect(outcomes(bench.run(datagram))).to.deep.equal(['replay']);
    expect(bench.link.sent).to.deep.equal([]);
  });

  it('holds the packet of a connection whose target does not have the new SA yet, and lets it go then', () => {
    const { bench, peer } = setUp();
    bench.run(espInUdp(peer.seal(tcp())));
    const target = bench.link.take()[0]?.peer ?? -1;
    const rekeyed = new EspPeer('aes128gcm16', SPI + 1);
    const entry = bench.install(testSa({ spi: SPI + 1 }), { serving: [(target + 1) % 3] });
    expect(outcomes(bench.run(espInUdp(rekeyed.seal(tcp({ flags: ACK })))))).to.deep.equal(['elsewhere']);
    entry.serving.add(target);
    bench.inbound.release(SPI + 1, bench.now);
    expect(bench.link.take().map(({ peer: to }) => to)).to.deep.equal([target]);
    expect(counted(bench.drops)).to.deep.equal({});
  });
});
