import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import { counted, outcomes, vectorOf } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { reply } from '../support/inner-packets.ts';
import { testSa } from '../support/test-sas.ts';
import { openAll } from './outbound-bench.ts';
import { StampingBench, StampingTarget } from './stamping-bench.ts';

const SPI = 0xc100_0001;
const out = (given: Partial<Parameters<typeof testSa>[0]> = {}) =>
  testSa({ spi: SPI, direction: 'out', ...given });
const peer = () => new EspPeer('aes128gcm16', SPI);
const textOf = (opened: { inner: Buffer } | undefined) => opened?.inner.toString('latin1').at(-1);

function flipped(packet: Buffer, at: number): Buffer {
  const changed = Buffer.from(packet);
  const place = at < 0 ? packet.length + at : at;
  changed.writeUInt8(changed.readUInt8(place) ^ 1, place);
  return changed;
}

describe('stamping, from several targets to the peer', () => {
  const setUp = (sa = out()) => {
    const router = new StampingBench();
    const entry = router.install(sa);
    return { router, entry, one: new StampingTarget(sa, 1), two: new StampingTarget(sa, 2) };
  };

  it('puts what two targets seal on one SA under one row of numbers, and the peer opens all of it', () => {
    const { router, one, two } = setUp();
    router.run('target1', one.seal(reply({ data: 'a' }), reply({ data: 'b' })));
    router.run('target2', two.seal(reply({ data: 'c' })));
    router.run('target1', one.seal(reply({ data: 'd' })));
    const opened = openAll(router.raw.packets, peer());
    expect(opened.map((each) => each?.sequence)).to.deep.equal([1, 2, 3, 4]);
    expect(opened.map(textOf).join('')).to.equal('abcd');
    expect(opened.map((each) => each?.iv)).to.deep.equal([
      '0001000000000001',
      '0001000000000002',
      '0002000000000001',
      '0001000000000003',
    ]);
    expect(counted(router.drops)).to.deep.equal({});
  });

  it('stamps extended numbers as well', () => {
    const sa = out({ hasEsn: true });
    const { router, one } = setUp(sa);
    router.run('target1', one.seal(reply({ data: 'x' })));
    const [sent] = router.raw.packets as [Buffer];
    const vector = vectorOf(sent.subarray(28));
    vector.saSlot[0] = 0;
    const opener = new EspNodeCrypto({ randomBytes });
    opener.install(0, sa);
    opener.open(vector);
    expect([outcomes(vector), textOf({ inner: vector.packet(0) })]).to.deep.equal([['keep'], 'x']);
  });

  it('makes the outer header of what the inner one says, which it cannot see: DSCP, ECN and DF', () => {
    const { router, one } = setUp(out({ copy: { df: true, ecn: true, dscp: true } }));
    const inner = reply();
    inner[1] = 0xb9; // EF, ECT(1); the checksum is not looked at on the way out
    router.run('target1', one.seal(inner));
    const [sent] = router.raw.packets;
    expect(sent?.[1]).to.equal(0xb9);
    expect((sent?.readUInt16BE(6) ?? 0) & 0x4000).to.equal(inner.readUInt16BE(6) & 0x4000);
  });

  it('shows nothing of number and ICV on the link, and seals nothing itself', () => {
    const { router, one } = setUp();
    const [masked] = one.seal(reply({ data: 'secret' }));
    if (masked === undefined) throw new Error('nothing sent');
    const esp = masked.subarray(16);
    expect(esp.readUInt32BE(4)).to.equal(0);
    expect(peer().open(esp)).to.equal(undefined);
    expect(one.bench.raw.packets).to.deep.equal([]);
    router.run('target1', [masked]);
    const [sent] = router.raw.packets;
    expect(sent?.subarray(28 + 16, -16).equals(esp.subarray(16, -16)), 'the same ciphertext').to.equal(true);
  });

  it('counts the lifesize where it is sealed', () => {
    const { router, entry, one } = setUp();
    router.run('target1', one.seal(reply(), reply()));
    expect([one.entry.meter.packets, entry.meter.packets]).to.deep.equal([2, 0]);
  });

  it('tells with the flush which packet was the last to be stamped', () => {
    const { one } = setUp();
    one.seal(reply(), reply(), reply());
    expect(one.entry.lastStamped).to.equal(3);
  });

  it('seals nothing with keys of another life of the routing host: no-number', () => {
    const { one } = setUp();
    one.bench.epoch++;
    expect(one.seal(reply())).to.deep.equal([]);
    expect(counted(one.bench.drops)).to.deep.equal({ 'no-number': 1 });
    expect(one.bench.raw.packets).to.deep.equal([]);
  });
});

interface Case {
  readonly it: string;
  readonly change: (packet: Buffer) => Buffer;
  readonly from?: string;
  readonly epoch?: number;
  readonly want: string;
}

const same = (packet: Buffer) => packet;

const CASES: readonly Case[] = [
  { it: 'a packet of a target on its own SA', change: same, want: 'keep' },
  { it: 'a packet under another epoch', change: same, epoch: 2, want: 'stamp-epoch' },
  {
    it: 'a packet of another target, sent on by one that is a sender too',
    change: same,
    from: 'target2',
    want: 'stamp-sender',
  },
  { it: 'a packet sent on by one that is no sender', change: same, from: 'target9', want: 'stamp-sender' },
  { it: 'another version', change: (packet) => flipped(packet, 0), want: 'stamp-malformed' },
  { it: 'another group', change: (packet) => flipped(packet, 7), want: 'no-sa' },
  { it: 'another SPI', change: (packet) => flipped(packet, 19), want: 'no-sa' },
  { it: 'a number that is there already', change: (packet) => flipped(packet, 23), want: 'stamp-malformed' },
  { it: 'another check', change: (packet) => flipped(packet, 8), want: 'stamp-check' },
  { it: 'another IV', change: (packet) => flipped(packet, 30), want: 'stamp-check' },
  { it: 'another ICV', change: (packet) => flipped(packet, -1), want: 'stamp-check' },
  {
    it: 'a longer packet',
    change: (packet) => Buffer.concat([packet, Buffer.alloc(4)]),
    want: 'stamp-check',
  },
  { it: 'a packet cut short', change: (packet) => packet.subarray(0, 40), want: 'stamp-malformed' },
];

describe('stamping, packet by packet', () => {
  for (const { it: title, change, from = 'target1', epoch, want } of CASES) {
    it(`${title}: ${want}`, () => {
      const router = new StampingBench();
      const entry = router.install(out());
      const [packet] = new StampingTarget(out(), 1).seal(reply());
      if (packet === undefined) throw new Error('nothing sent');
      router.run(from, [change(packet)], epoch);
      expect(counted(router.drops)).to.deep.equal(want === 'keep' ? {} : { [want]: 1 });
      expect(router.raw.packets).to.have.lengthOf(want === 'keep' ? 1 : 0);
      expect(entry.numbering.nextSequence, 'numbers taken').to.equal(want === 'keep' ? 2 : 1);
    });
  }

  it('stamps a packet once, though it comes twice, at once or later: stamp-repeat', () => {
    const router = new StampingBench();
    router.install(out());
    const [packet] = new StampingTarget(out(), 1).seal(reply()) as [Buffer];
    expect(outcomes(router.run('target1', [packet, packet]))).to.deep.equal(['keep', 'stamp-repeat']);
    router.run('target1', [packet]);
    expect(counted(router.drops)).to.deep.equal({ 'stamp-repeat': 2 });
    expect(router.raw.packets).to.have.lengthOf(1);
  });

  it('lets a changed ciphertext through once, for the peer to refuse: the genuine one is a repeat then', () => {
    const router = new StampingBench();
    router.install(out());
    const [packet] = new StampingTarget(out(), 1).seal(reply()) as [Buffer];
    router.run('target1', [flipped(packet, 40), packet]);
    expect(openAll(router.raw.packets, peer())).to.deep.equal([undefined]);
    expect(counted(router.drops)).to.deep.equal({ 'stamp-repeat': 1 });
  });
});

describe('stamping, while a lease is called back', () => {
  const leased = () => {
    const router = new StampingBench();
    const entry = router.install(out());
    entry.numbering.leaseRequest('target1', 64, router.now);
    router.settle(entry);
    expect(entry.numbering.state.name).to.equal('exclusive');
    return { router, entry, two: new StampingTarget(out(), 2) };
  };

  it('waits, and goes on in order at the first unused number', () => {
    const { router, entry, two } = leased();
    router.run('target2', two.seal(reply({ data: 'a' }), reply({ data: 'b' })));
    router.run('target2', two.seal(reply({ data: 'c' })));
    expect([router.revoked, router.raw.packets]).to.deep.equal([['target1'], []]);
    entry.numbering.leaseReturn('target1', 3 * 2 ** 20 + 1, 11n, router.now);
    router.now += 1;
    entry.numbering.tick(router.now);
    router.settle(entry);
    const opened = openAll(router.raw.packets, peer());
    expect(opened.map((each) => each?.sequence)).to.deep.equal([11, 12, 13]);
    expect(opened.map(textOf).join('')).to.equal('abc');
  });

  it('holds 1024 packets of one SA at the most and 300 ms: queue-overflow, queue-timeout', () => {
    const { router, two } = leased();
    for (let i = 0; i < 20; i++)
      router.run('target2', two.seal(...Array.from({ length: 52 }, () => reply())));
    expect(counted(router.drops)).to.deep.equal({ 'queue-overflow': 16 });
    router.now += 300;
    router.stamping.tick(router.now);
    expect(counted(router.drops)).to.deep.equal({ 'queue-overflow': 16, 'queue-timeout': 1024 });
    expect(router.raw.packets).to.deep.equal([]);
  });

  it('drops what waits when its SA goes, since it was sealed with that one: no-sa', () => {
    const { router, entry, two } = leased();
    router.run('target2', two.seal(reply(), reply()));
    router.remove(entry);
    expect(counted(router.drops)).to.deep.equal({ 'no-sa': 2 });
    router.run('target2', two.seal(reply()));
    expect(counted(router.drops)).to.deep.equal({ 'no-sa': 3 });
    expect(router.raw.packets).to.deep.equal([]);
  });
});
