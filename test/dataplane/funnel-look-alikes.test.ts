import { expect } from 'chai';
import { counted } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { OTHER_DVIPA, reply } from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { FunnelBench, FunnelTarget, openAll } from './outbound-bench.ts';

/** Equal: each peer chooses its own, and one may choose what it saw another one use. */
const SPI = 0xc100_0001;
const saOf = (group: number, spi = SPI, given = {}) =>
  testSa({ spi, direction: 'out', group, reqid: group, client: `192.0.2.10${group}`, ...given });
const to = (datagram: Buffer) => datagram.subarray(16, 20).join('.');

/** A funnel for two peers that look alike; target1 and target2 send on both SAs. */
function setUp() {
  const bench = new FunnelBench();
  for (const group of [1, 2]) {
    const sa = { ...saOf(group), id: `00c0ffee00c0ffee:${group}` as never };
    bench.overlaps.add(sa);
    bench.install(sa);
  }
  const target = new FunnelTarget('target1');
  const run = (group: number, inner = reply()) => {
    bench.run(target, [target.seal(inner, 1, group)]);
    return bench.raw.take();
  };
  return { bench, run };
}

describe('the funnel, for peers that look alike', () => {
  it('seals for the peer that the target means, though policies and SPIs are equal', () => {
    const { run } = setUp();
    for (const group of [1, 2, 1]) {
      const sent = run(group);
      expect(sent.map(to)).to.deep.equal([`192.0.2.10${group}`]);
      expect(openAll(sent, new EspPeer('aes128gcm16', SPI))[0]).to.not.equal(undefined);
    }
  });

  it('refuses what is for none of them as `look-alike`: the policy, not the target, names the SA', () => {
    const { bench, run } = setUp();
    bench.install(saOf(3, SPI + 3, { clientInner: '10.1.3.1' }));
    for (const group of [3, 9, 0]) expect(run(group)).to.deep.equal([]);
    expect(counted(bench.drops)).to.deep.equal({ 'look-alike': 3 });
  });

  it('asks nobody where one policy matches, whatever the target says', () => {
    const { bench, run } = setUp();
    bench.install(saOf(3, SPI + 3, { clientInner: '10.1.3.1' }));
    expect(run(1, reply({ destination: '10.1.3.1' })).map(to)).to.deep.equal(['192.0.2.103']);
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('lets a target send from its own DVIPAs only, whoever it means', () => {
    const { bench, run } = setUp();
    const sa = saOf(4, SPI + 4, { dvipa: OTHER_DVIPA });
    bench.overlaps.add(sa);
    bench.install(sa);
    expect(run(4, reply({ source: OTHER_DVIPA }))).to.deep.equal([]);
    expect(counted(bench.drops)).to.deep.equal({ 'source-not-dvipa': 1 });
  });

  it('keeps what waits for numbers for its peer, over a rekey and whatever policy is the newest', () => {
    const bench = new FunnelBench();
    const target = new FunnelTarget('target1');
    const add = (group: number, spi: number) => {
      const sa = { ...saOf(group, spi), id: `00c0ffee00c0ffee:${group}${spi}` as never };
      bench.overlaps.add(sa);
      return bench.install(sa);
    };
    bench.isStoring = false;
    const old = add(1, SPI);
    add(2, SPI);
    bench.run(target, [target.seal(reply({ data: 'waits' }), 1, 1)]);
    bench.isStoring = true;
    const young = add(1, SPI + 1);
    bench.overlaps.remove(old.sa.id);
    young.numbering.sharedArrived('target1', 0, bench.now);
    bench.settle(young);
    bench.sad.remove(old.sa.id);
    bench.run(target, [target.seal(Buffer.alloc(1), 1, 2)]); // what was meant last is no matter
    bench.funnel.resume(old, bench.now);
    const sent = bench.raw.take();
    expect(sent.map(to)).to.deep.equal(['192.0.2.101']);
    const opened = openAll(sent, new EspPeer('aes128gcm16', SPI + 1));
    expect(opened.map((each) => each?.inner.toString('latin1').slice(-5))).to.deep.equal(['waits']);
  });
});
