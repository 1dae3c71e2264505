import { expect } from 'chai';
import { counted, outcomes } from '../support/dataplane-parts.ts';
import { ESP_SUITES, EspPeer } from '../support/esp-peer.ts';
import { DVIPA, ipv4, OTHER_DVIPA, reply } from '../support/inner-packets.ts';
import { policyFor, testSa } from '../support/test-sas.ts';
import { FunnelBench, FunnelTarget, openAll } from './outbound-bench.ts';

const SPI = 0xc100_0001;
const LIMITED = { bytes: { soft: 5000, hard: 10_000 }, packets: { soft: 0, hard: 0 } };
const out = (spi = SPI) => testSa({ spi, direction: 'out' });

interface Case {
  readonly it: string;
  readonly packet: (target: FunnelTarget) => Buffer;
  readonly epoch?: number;
  /** What the routing host has besides the SA of the first client. */
  readonly given?: (bench: FunnelBench) => void;
  readonly target?: FunnelTarget;
  readonly want: string;
}

const flip = (packet: Buffer, at: number) => {
  packet.writeUInt8(packet.readUInt8(at) ^ 1, at);
  return packet;
};

const CASES: readonly Case[] = [
  { it: 'a packet of a DVIPA that the target serves', packet: (t) => t.seal(reply()), want: 'keep' },
  { it: 'a packet of another epoch', packet: (t) => t.seal(reply()), epoch: 2, want: 'link-epoch' },
  {
    it: 'a packet sealed for another epoch',
    target: new FunnelTarget('target1', { epoch: 2 }),
    packet: (t) => t.seal(reply()),
    want: 'link-authentication',
  },
  {
    it: 'a packet too short for its header',
    packet: (t) => t.seal(reply()).subarray(0, 30),
    want: 'link-malformed',
  },
  { it: 'one bit of the ciphertext', packet: (t) => flip(t.seal(reply()), 30), want: 'link-authentication' },
  { it: 'one bit of the counter', packet: (t) => flip(t.seal(reply()), 9), want: 'link-authentication' },
  {
    it: 'a key that this target was not given',
    packet: (t) => flip(t.seal(reply()), 3),
    want: 'link-authentication',
  },
  {
    it: 'a packet of a target on its own key',
    packet: () => new FunnelTarget('target2').seal(reply()),
    want: 'link-authentication',
  },
  {
    it: 'kind "committed", which goes the other way',
    packet: (t) => t.seal(reply(), 2),
    want: 'link-unknown-kind',
  },
  { it: 'a kind that nobody knows', packet: (t) => t.seal(reply(), 9), want: 'link-unknown-kind' },
  { it: 'what is no IP packet inside', packet: (t) => t.seal(Buffer.alloc(20)), want: 'malformed' },
  {
    it: 'an inner packet that was cut off',
    packet: (t) => t.seal(reply().subarray(0, 30)),
    want: 'truncated',
  },
  {
    it: 'a destination without policy',
    packet: (t) => t.seal(reply({ destination: '10.1.1.9' })),
    want: 'no-policy',
  },
  {
    it: 'a policy whose SA is gone',
    given: (bench) => bench.sad.installPolicy(policyFor(out(), { spi: undefined })),
    packet: (t) => t.seal(reply()),
    want: 'no-sa',
  },
  {
    it: 'a DVIPA that this target is not authorised for, though an SA of it is there',
    given: (bench) =>
      void bench.install(testSa({ spi: SPI + 1, direction: 'out', dvipa: OTHER_DVIPA, reqid: 2 }), [
        'target3',
      ]),
    packet: (t) => t.seal(reply({ source: OTHER_DVIPA })),
    want: 'source-not-dvipa',
  },
  {
    it: 'a target that is not one of the senders of this SA',
    target: new FunnelTarget('target9'),
    packet: (t) => t.seal(reply()),
    want: 'no-number',
  },
];

describe('funnel, packet by packet', () => {
  for (const { it: title, packet, epoch, given, want, target = new FunnelTarget('target1') } of CASES) {
    it(`${title}: ${want}`, () => {
      const bench = new FunnelBench();
      bench.install(out());
      given?.(bench);
      bench.run(target, [packet(target)], epoch);
      expect(counted(bench.drops)).to.deep.equal(want === 'keep' ? {} : { [want]: 1 });
      expect(bench.raw.packets).to.have.lengthOf(want === 'keep' ? 1 : 0);
    });
  }
});

describe('funnel', () => {
  const setUp = () => {
    const bench = new FunnelBench();
    const entry = bench.install(out());
    return { bench, entry, peer: new EspPeer('aes128gcm16', SPI) };
  };
  const [one, two] = [() => new FunnelTarget('target1'), () => new FunnelTarget('target2')];

  for (const suite of ESP_SUITES) {
    it(`seals what two targets send on one SA under one row of numbers (${suite})`, () => {
      const bench = new FunnelBench();
      bench.install(testSa({ spi: SPI, direction: 'out', suite }));
      const [first, second] = [one(), two()];
      bench.run(first, [first.seal(reply({ data: 'a' })), first.seal(reply({ data: 'b' }))]);
      bench.run(second, [second.seal(reply({ data: 'c' }))]);
      const opened = openAll(bench.raw.packets, new EspPeer(suite, SPI));
      expect(opened.map((each) => each?.sequence)).to.deep.equal([1, 2, 3]);
      expect(opened.map((each) => each?.inner.toString('latin1').at(-1))).to.deep.equal(['a', 'b', 'c']);
      expect(new Set(opened.map((each) => each?.iv)).size).to.equal(3);
    });
  }

  it("writes the routing host's own sender id (0) and ascending counters as IV", () => {
    const { bench, peer } = setUp();
    const target = one();
    bench.run(target, [target.seal(reply()), target.seal(reply())]);
    const ivs = openAll(bench.raw.packets, peer).map((each) => each?.iv);
    expect(ivs).to.deep.equal(['0000000000000001', '0000000000000002']);
  });

  it('seals a link packet once, though it comes twice: link-replay', () => {
    const { bench } = setUp();
    const target = one();
    const packet = target.seal(reply());
    expect(outcomes(bench.run(target, [packet, packet]))).to.deep.equal(['keep', 'link-replay']);
    bench.run(target, [packet]);
    expect(counted(bench.drops)).to.deep.equal({ 'link-replay': 2 });
    expect(bench.raw.packets).to.have.lengthOf(1);
  });

  it('takes no number for a packet that does not authenticate', () => {
    const { bench, entry, peer } = setUp();
    const target = one();
    bench.run(target, [flip(target.seal(reply()), 40), target.seal(reply())]);
    expect(openAll(bench.raw.packets, peer).map((each) => each?.sequence)).to.deep.equal([1]);
    expect(entry.meter.packets).to.equal(1);
  });

  it('lets the policy name the SA, whatever the target says', () => {
    const bench = new FunnelBench();
    bench.install(out());
    bench.install(
      testSa({ spi: SPI + 1, direction: 'out', reqid: 2, clientInner: '10.1.2.1', client: '192.0.2.102' }),
    );
    const target = one();
    bench.run(target, [target.seal(reply({ destination: '10.1.2.1' }))]);
    const [sent] = bench.raw.packets;
    expect(sent?.readUInt32BE(28)).to.equal(SPI + 1);
    expect(sent?.subarray(16, 20).toString('hex')).to.equal('c0000266');
  });

  it('waits while marks are not stored, and goes on in order when they are', () => {
    const bench = new FunnelBench();
    bench.isStoring = false;
    const entry = bench.install(out());
    const target = one();
    const inners = ['a', 'b', 'c'].map((data) => reply({ data }));
    bench.run(
      target,
      inners.map((inner) => target.seal(inner)),
    );
    expect(bench.raw.packets).to.deep.equal([]);
    bench.isStoring = true;
    entry.numbering.storeFailed(bench.now);
    bench.now += 100;
    entry.numbering.tick(bench.now);
    bench.settle(entry);
    const opened = openAll(bench.raw.packets, new EspPeer('aes128gcm16', SPI));
    expect(opened.map((each) => each?.inner.toString('latin1').at(-1))).to.deep.equal(['a', 'b', 'c']);
    expect(counted(bench.drops)).to.deep.equal({});
  });

  it('tells how far the link of a target has come, by counters that proved genuine', () => {
    const bench = new FunnelBench();
    bench.install(out());
    const target = one();
    bench.run(target, [target.seal(reply()), target.seal(reply())]);
    expect(bench.linkCounter).to.equal(2);
    bench.run(target, [flip(target.seal(reply()), 30)]);
    expect(bench.linkCounter).to.equal(0);
  });

  it('holds 1024 packets of one SA at the most and 300 ms: queue-overflow, queue-timeout', () => {
    const bench = new FunnelBench();
    bench.isStoring = false;
    bench.install(out());
    const target = one();
    for (let i = 0; i < 33; i++)
      bench.run(
        target,
        Array.from({ length: 32 }, () => target.seal(reply())),
      );
    expect(counted(bench.drops)).to.deep.equal({ 'queue-overflow': 32 });
    bench.funnel.tick(bench.now + 299);
    expect(counted(bench.drops)).to.deep.equal({ 'queue-overflow': 32 });
    bench.funnel.tick(bench.now + 300);
    expect(counted(bench.drops)).to.deep.equal({ 'queue-overflow': 32, 'queue-timeout': 1024 });
    expect(bench.raw.packets).to.deep.equal([]);
  });

  it('calls the lease back before it seals for another target: the peer sees no jump', () => {
    const { bench, entry, peer } = setUp();
    entry.numbering.leaseRequest('target1', 64, bench.now);
    const grant = entry.numbering.takeActions().find(({ kind }) => kind === 'grant');
    expect(grant).to.include({ kind: 'grant', first: 1n });
    const second = two();
    bench.run(second, [second.seal(reply())]);
    expect(bench.raw.packets).to.deep.equal([]);
    expect(bench.revoked).to.deep.equal(['target1']);
    const lease = grant?.kind === 'grant' ? grant.lease : -1;
    entry.numbering.leaseReturn('target1', lease, 11n, bench.now);
    bench.now += 2;
    entry.numbering.tick(bench.now);
    bench.settle(entry);
    expect(openAll(bench.raw.packets, peer).map((each) => each?.sequence)).to.deep.equal([11]);
  });

  it('refuses what goes beyond the hard limit: hard-limit', () => {
    const bench = new FunnelBench();
    const sa = testSa({ spi: SPI, direction: 'out', lifetime: LIMITED });
    const entry = bench.install(sa, ['target1'], { bytes: 60, packets: 10 });
    const target = one();
    bench.run(target, [target.seal(reply()), target.seal(reply())]);
    expect(counted(bench.drops)).to.deep.equal({ 'hard-limit': 1 });
    expect(entry.meter.bytes).to.equal(40);
  });

  it('a packet that waits when charon switches SAs goes out on the new one, and is not stranded', () => {
    const bench = new FunnelBench();
    bench.isStoring = false;
    const old = bench.install(out());
    const target = one();
    bench.run(target, [target.seal(reply({ data: 'waits' }))]);
    bench.isStoring = true;
    const young = bench.install(testSa({ spi: SPI + 1, direction: 'out' }));
    young.numbering.sharedArrived('target1', 0, bench.now);
    bench.settle(young);
    bench.sad.remove(old.sa.id);
    bench.funnel.resume(old, bench.now);
    const opened = openAll(bench.raw.packets, new EspPeer('aes128gcm16', SPI + 1));
    expect(opened.map((each) => each?.inner.toString('latin1').slice(-5))).to.deep.equal(['waits']);
  });

  it('counts what the kernel refused as send-failed, and seals it never again', () => {
    const { bench } = setUp();
    const target = one();
    bench.raw.isBroken = true;
    bench.run(target, [target.seal(reply())]);
    bench.raw.isBroken = false;
    bench.run(target, [target.seal(ipv4({ source: DVIPA, destination: '10.1.1.1' }))]);
    expect(counted(bench.drops)).to.deep.equal({ 'send-failed': 1 });
    const opened = openAll(bench.raw.packets, new EspPeer('aes128gcm16', SPI));
    expect(opened.map((each) => each?.sequence)).to.deep.equal([2]);
  });
});
