import { expect } from 'chai';
import { DropCounters, verdictOf } from '../../src/base/verdict.ts';
import { DispatchFloor } from '../../src/dataplane/dispatch-floor.ts';
import { encapsulate } from '../../src/dataplane/encapsulate.ts';
import { HoldQueue, TAKEN } from '../../src/dataplane/hold-queue.ts';
import { InboundSad } from '../../src/dataplane/inbound-sad.ts';
import { readInnerHeaders } from '../../src/dataplane/inner-headers.ts';
import { OutboundSad } from '../../src/dataplane/outbound-sad.ts';
import { RANGE_BYTES, unpackNumbers } from '../../src/ipsec/number-ranges.ts';
import { CommittedNumbers, REPORT_MAX_NUMBERS } from '../../src/dataplane/replay-reports.ts';
import { HEADROOM_BYTES, PacketVector, SLOT_BYTES } from '../../src/dataplane/vector.ts';
import { FRAGMENT } from '../../src/ipsec/inner-columns.ts';
import type { SaId } from '../../src/ipsec/sa.ts';
import { Ipv4Header, parseIpv4, hasValidIpv4Checksum } from '../../src/packet/ipv4.ts';
import { parseUdp, UdpHeader } from '../../src/packet/udp.ts';
import { outcomes, vectorOf } from '../support/dataplane-parts.ts';
import { innerColumns } from '../support/inner-columns.ts';
import { addr, icmpEcho, ip, ipv4, SYN, tcp, udp } from '../support/inner-packets.ts';
import { policyFor, testSa } from '../support/test-sas.ts';

describe('packet-vector', () => {
  it('refuses a packet beyond its capacity, and one that does not fit a slot', () => {
    const vector = new PacketVector(2);
    expect(vector.push(Buffer.alloc(vector.roomBytes + 1))).to.equal(false);
    expect([vector.push(Buffer.alloc(vector.roomBytes)), vector.push(Buffer.of(1))]).to.deep.equal([
      true,
      true,
    ]);
    expect(vector.push(Buffer.of(1))).to.equal(false);
    expect(vector.roomBytes).to.be.lessThan(SLOT_BYTES - HEADROOM_BYTES);
  });

  it('is as new after reset, wherever steps have moved its packets', () => {
    const vector = vectorOf(Buffer.from('one'));
    vector.offset[0] = 3;
    vector.drop(0, 5);
    vector.saSlot[0] = 9;
    vector.reset();
    expect([vector.count, vector.offset[0], vector.verdict[0], vector.saSlot[0]]).to.deep.equal([
      0,
      HEADROOM_BYTES,
      0,
      -1,
    ]);
  });

  it('counts reasons to drop and nothing else', () => {
    const drops = new DropCounters();
    const vector = vectorOf(...Array.from({ length: 5 }, () => Buffer.of(1)));
    [0, 255, 254, 253, verdictOf('icv')].forEach((verdict, i) => vector.drop(i, verdict));
    vector.countDrops(drops);
    expect(Object.values(drops.toJSON()).reduce((sum, count) => sum + count, 0)).to.equal(1);
    expect(drops.get('icv')).to.equal(1);
    expect(outcomes(vector).slice(0, 3)).to.deep.equal(['keep', 'sent', 'elsewhere']);
  });
});

describe('hold-queue', () => {
  const queue = () => new HoldQueue({ capacity: 4, holdMs: 100 });

  it('leaves room for others: what waits for one thing has a bound of its own', () => {
    const held = new HoldQueue({ capacity: 4, perKey: 2, holdMs: 100 });
    expect([1, 1, 1, 2, 2].map((key) => held.hold(Buffer.from('x'), key, 0))).to.deep.equal([
      true,
      true,
      false,
      true,
      true,
    ]);
  });

  const texts = (held: HoldQueue, key: number) => {
    const seen: string[] = [];
    held.drain(key, (packet) => {
      seen.push(packet.toString());
      return TAKEN;
    });
    return seen;
  };

  it('gives packets back in their order, per key', () => {
    const held = queue();
    for (const [text, key] of [
      ['a', 1],
      ['b', 2],
      ['c', 1],
    ] as const)
      held.hold(Buffer.from(text), key, 0);
    expect(texts(held, 1)).to.deep.equal(['a', 'c']);
    expect(texts(held, 1)).to.deep.equal([]);
    expect([held.has(1), held.has(2), held.size]).to.deep.equal([false, true, 1]);
  });

  it('copies what it holds: the vector is used again', () => {
    const held = queue();
    const packet = Buffer.from('a');
    held.hold(packet, 1, 0);
    packet.fill(0);
    expect(texts(held, 1)).to.deep.equal(['a']);
  });

  it('refuses more than its capacity, over all keys', () => {
    const held = queue();
    const accepted = [1, 2, 3, 4, 5].map((key) => held.hold(Buffer.of(1), key, 0));
    expect(accepted).to.deep.equal([true, true, true, true, false]);
  });

  it('keeps a packet that is not taken, and those behind it', () => {
    const held = queue();
    for (const text of ['a', 'b', 'c']) held.hold(Buffer.from(text), 1, 0);
    held.drain(1, (packet) => (packet.toString() === 'b' ? 1 : TAKEN));
    expect(texts(held, 1)).to.deep.equal(['b', 'c']);
  });

  it('moves a packet that waits for something else now, behind what waits for that', () => {
    const held = queue();
    for (const [text, key] of [
      ['a', 1],
      ['b', 1],
      ['z', 2],
    ] as const)
      held.hold(Buffer.from(text), key, 0);
    held.drain(1, () => 2);
    expect([held.has(1), held.size]).to.deep.equal([false, 3]);
    expect(texts(held, 2)).to.deep.equal(['z', 'a', 'b']);
  });

  it('drops what has waited too long and wipes it', () => {
    const held = queue();
    const seen: Buffer[] = [];
    held.hold(Buffer.from('old'), 7, 0);
    held.hold(Buffer.from('new'), 7, 50);
    held.drain(7, (packet) => {
      seen.push(packet);
      return 7;
    });
    const counts: number[] = [];
    held.expire(
      100,
      (key) => key,
      (verdict) => counts.push(verdict),
    );
    expect(counts).to.deep.equal([7]);
    expect(seen[0]?.every((byte) => byte === 0)).to.equal(true);
    expect(texts(held, 7)).to.deep.equal(['new']);
    expect(held.size).to.equal(0);
  });
});

describe('dispatch-floor', () => {
  it('accepts each number once, in any order within the tolerance', () => {
    const floor = new DispatchFloor();
    expect([5, 3, 4, 3, 5, 1].map((n) => floor.accept(n))).to.deep.equal([
      true,
      true,
      true,
      false,
      false,
      true,
    ]);
    expect(floor.accept(0)).to.equal(false);
  });

  it('moves up to the top of one interval ago, and refuses what comes later below it', () => {
    const floor = new DispatchFloor();
    floor.accept(10);
    expect(floor.advance()).to.equal(0n);
    floor.accept(20);
    expect(floor.accept(9)).to.equal(true);
    expect(floor.advance()).to.equal(10n);
    expect(floor.accept(8)).to.equal(false);
    expect(floor.accept(11)).to.equal(true);
    expect([floor.isBehind, floor.advance(), floor.isBehind]).to.deep.equal([true, 20n, false]);
  });

  it('never goes back, and goes on over 2^32', () => {
    const floor = new DispatchFloor();
    floor.accept(0xffff_fff0);
    floor.advance();
    expect(floor.accept(5)).to.equal(true);
    expect(floor.advance()).to.equal(0xffff_fff0n);
    expect(floor.advance()).to.equal(0x1_0000_0005n);
    expect(floor.accept(0xffff_fff1)).to.equal(false);
  });
});

describe('committed-numbers', () => {
  const numbersOf = (id = 1) => new CommittedNumbers(`00c0ffee00c0ffee:${id}` as SaId);

  it('are taken once, in their order, as few ranges', () => {
    const numbers = numbersOf();
    for (const low of [5, 6, 7, 9, 8, 0xffff_ffff]) numbers.add(0, low);
    for (const low of [0, 1, 0]) numbers.add(1, low);
    expect(numbers.count).to.equal(9);
    const taken = numbers.take();
    const next = 2n ** 32n;
    expect(unpackNumbers(taken)).to.deep.equal([5n, 6n, 7n, 9n, 8n, next - 1n, next, next + 1n, next]);
    expect(taken).to.have.lengthOf(6 * RANGE_BYTES);
    expect([numbers.count, numbers.take().length]).to.deep.equal([0, 0]);
  });

  it('are of one SA, though rooms that were emptied are used again', () => {
    const [one, other] = [numbersOf(1), numbersOf(2)];
    one.add(0, 1);
    one.take();
    other.add(0, 2);
    one.add(0, 3);
    expect([unpackNumbers(other.take()), unpackNumbers(one.take())]).to.deep.equal([[2n], [3n]]);
  });

  it('throws rather than lose one when it is full, of a run or of numbers apart', () => {
    for (const step of [1, 2]) {
      const numbers = numbersOf();
      const all = Array.from({ length: REPORT_MAX_NUMBERS }, (_, i) => 1 + i * step);
      for (const low of all) numbers.add(0, low);
      expect(numbers.isFull).to.equal(true);
      expect(() => numbers.add(0, 1)).to.throw(RangeError);
      expect(unpackNumbers(numbers.take())).to.deep.equal(all.map(BigInt));
    }
  });
});

describe('inner-headers', () => {
  const read = (packet: Buffer) => {
    const vector = vectorOf(packet);
    vector.drop(0, readInnerHeaders(vector, 0));
    const columns = [
      vector.protocol,
      vector.sourcePort,
      vector.destinationPort,
      vector.tcpFlags,
      vector.fragment,
    ];
    return {
      reason: outcomes(vector)[0],
      columns: columns.map((column) => column[0]),
      length: vector.length[0],
    };
  };

  it('reads ports and flags of TCP, ports of UDP, type and code of ICMP', () => {
    expect(read(tcp({ sourcePort: 1, destinationPort: 2 })).columns).to.deep.equal([6, 1, 2, SYN, 0]);
    expect(read(udp({})).columns).to.deep.equal([17, 5353, 53, 0, 0]);
    expect(read(icmpEcho()).columns).to.deep.equal([1, 0, 0x0800, 0, 0]);
  });

  it('shows no ports of a later fragment, and those of a first one', () => {
    expect(read(tcp({ fragment: 5 })).columns).to.deep.equal([6, 0, 0, 0, FRAGMENT.LATER]);
    expect(read(tcp({ fragment: 0x2000, sourcePort: 7 })).columns).to.deep.equal([
      6,
      7,
      80,
      SYN,
      FRAGMENT.FIRST,
    ]);
  });

  it('reads every truncation of every packet without reading beyond it', () => {
    for (const packet of [tcp(), udp({}), icmpEcho(), ipv4({ protocol: 6, payload: Buffer.alloc(13) })]) {
      for (let length = 0; length < packet.length; length++) {
        expect(read(packet.subarray(0, length)).reason).to.equal('truncated');
      }
    }
    expect(read(ipv4({ protocol: 6, payload: Buffer.alloc(13) })).reason).to.equal('malformed');
    expect(read(ipv4({ protocol: 17, payload: Buffer.alloc(3) })).reason).to.equal('malformed');
    expect(read(ipv4({ protocol: 1, payload: Buffer.alloc(1) })).reason).to.equal('malformed');
  });

  it('forgets what stood in the columns before', () => {
    const vector = vectorOf(tcp());
    readInnerHeaders(vector, 0);
    vector.reset();
    vector.push(ipv4({ protocol: 50 }));
    readInnerHeaders(vector, 0);
    expect([vector.sourcePort[0], vector.destinationPort[0], vector.tcpFlags[0]]).to.deep.equal([0, 0, 0]);
  });
});

describe('encapsulate', () => {
  it('writes headers that parse, with a right IPv4 checksum and UDP checksum 0', () => {
    const vector = vectorOf(Buffer.alloc(100, 0xab));
    const outer = {
      mode: 'tunnel',
      hasUdpEncapsulation: true,
      source: addr('192.0.2.10'),
      destination: addr('192.0.2.101'),
      sourcePort: 4500,
      destinationPort: 31_000,
    } as const;
    encapsulate(vector, 0, { ...outer, copyDf: true, copyEcn: true, copyDscp: true });
    const [header, ports] = [new Ipv4Header(), new UdpHeader()];
    const at = vector.offset[0] as number;
    expect(parseIpv4(vector.slab, at, 128, header)).to.equal(0);
    expect(header).to.include({
      totalBytes: 128,
      protocol: 17,
      source: ip('192.0.2.10'),
      destination: ip('192.0.2.101'),
    });
    expect(hasValidIpv4Checksum(vector.slab, at, 20)).to.equal(true);
    expect(parseUdp(vector.slab, at + 20, 108, ports)).to.equal(0);
    expect(ports).to.include({ sourcePort: 4500, destinationPort: 31_000, payloadBytes: 100, checksum: 0 });
  });
});

describe('inbound-sad', () => {
  const entry = (slot: number, sa = testSa({ spi: 0xc000_0001 })) => ({
    slot,
    sa,
    destination: addr('192.0.2.10'),
  });

  it('finds an SA by SPI, at its own outer destination only', () => {
    const sad = new InboundSad();
    sad.add(testSa({ spi: 0xc000_0001 }), entry);
    expect(sad.lookup(0xc000_0001, addr('192.0.2.10'), 0)).to.equal(0);
    expect(sad.lookup(0xc000_0001, addr('203.0.113.10'), 0)).to.equal(-1);
    expect(sad.lookup(0xc000_0002, addr('192.0.2.10'), 0)).to.equal(-1);
  });

  it('refuses an SPI that is in use, and frees it with its slot', () => {
    const sad = new InboundSad();
    const sa = testSa({ spi: 0xc000_0001 });
    sad.add(sa, entry);
    expect(() => sad.add(testSa({ spi: 0xc000_0001 }), entry)).to.throw('in use');
    expect(sad.remove(sa.id)?.slot).to.equal(0);
    expect(sad.remove(sa.id)).to.equal(undefined);
    expect([sad.at(0), sad.size, sad.lookup(0xc000_0001, addr('192.0.2.10'), 0)]).to.deep.equal([
      undefined,
      0,
      -1,
    ]);
  });
});

describe('outbound-sad', () => {
  const make = (spi: number, reqid = 1) => testSa({ spi, direction: 'out', reqid });
  const add = (sad: OutboundSad<{ slot: number; sa: ReturnType<typeof make> }>, sa = make(0xc1)) =>
    sad.add(sa, (slot) => ({ slot, sa }));

  it('names the SA that the policy names, whichever came first, and switches with the policy', () => {
    const sad = new OutboundSad<{ slot: number; sa: ReturnType<typeof make> }>();
    const [old, young] = [make(0xc1), make(0xc2)];
    const policy = policyFor(old);
    sad.installPolicy(policy);
    expect(sad.saOf(policy)).to.equal(undefined);
    const entry = add(sad, old);
    expect(sad.saOf(policy)).to.equal(entry);
    const next = add(sad, young);
    expect(sad.saOf(policy)).to.equal(entry);
    sad.installPolicy(policyFor(young));
    const packet = {
      source: '203.0.113.10',
      destination: '10.1.1.1',
      sourcePort: 80,
      destinationPort: 40_000,
    };
    const found = sad.policyFor(innerColumns(packet), 0);
    expect(found && sad.saOf(found)).to.equal(next);
    sad.remove(young.id);
    expect(found && sad.saOf(found)).to.equal(undefined);
  });

  it('keeps two peers apart that chose the same SPI', () => {
    const sad = new OutboundSad<{ slot: number; sa: ReturnType<typeof make> }>();
    const [first, second] = [make(0xc1), { ...make(0xc1, 2), id: 'other:2' as SaId }];
    const entry = add(sad, first);
    expect(() => add(sad, { ...make(0xc1), id: 'other:1' as SaId })).to.throw('in use');
    expect(sad.saOf(policyFor(second))).to.equal(undefined);
    const other = add(sad, second);
    expect([sad.saOf(policyFor(first)), sad.saOf(policyFor(second))]).to.deep.equal([entry, other]);
  });
});
