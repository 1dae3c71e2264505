import { expect } from 'chai';
import * as fc from 'fast-check';
import { ELSEWHERE, verdictOf } from '../../src/base/verdict.ts';
import { LINK_PROTOCOL } from '../../src/dataplane/ports.ts';
import { internetChecksum, pseudoHeaderSum4, foldChecksum } from '../../src/packet/checksum.ts';
import { counted, vectorOf } from '../support/dataplane-parts.ts';
import { readInnerHeaders } from '../../src/dataplane/inner-headers.ts';
import { LARGE_SLOT_BYTES, PacketVector } from '../../src/dataplane/vector.ts';
import { fragment4 } from '../support/fragments.ts';
import {
  ACK,
  addr,
  CLIENT6,
  DVIPA,
  DVIPA6,
  icmpEcho,
  ip,
  ipv4,
  reply,
  SYN,
  tcp,
  udp,
} from '../support/inner-packets.ts';
import { tcpSegment } from '../support/ip-packets.ts';
import { ClearBench, PERMIT_ALL } from './clear-bench.ts';

const STRANGER = '192.0.2.200';
const ROUTER = '192.0.2.1';
const syn = (more = {}) => tcp({ source: STRANGER, ...more });
const answer = (more = {}) => reply({ destination: STRANGER, ...more });
const datagram = (more = {}) => udp({ source: STRANGER, ...more });
const udpAnswer = (more = {}) =>
  udp({ source: DVIPA, destination: STRANGER, sourcePort: 53, destinationPort: 5353, ...more });

/** ICMP of a type and code with eight bytes of header. */
function icmp(type: number, code: number, rest: Buffer, fields: object): Buffer {
  const payload = Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), rest]);
  payload.writeUInt16BE(internetChecksum(payload, 0, payload.length), 2);
  return ipv4({ protocol: 1, payload, ...fields });
}
const unreachable = (quoted: Buffer, fields: object, code = 1) =>
  icmp(3, code, quoted.subarray(0, 28), fields);

/** As on a target, with its headers read. */
function vectorOfInner(packet: Buffer): PacketVector {
  const vector = vectorOf(packet);
  readInnerHeaders(vector, 0);
  return vector;
}

/** A TCP connection that is open in clear. */
function opened(bench: ClearBench): ClearBench {
  bench.arrive(syn());
  bench.leave(answer({ flags: SYN | ACK }));
  bench.tun.take();
  bench.raw.take();
  return bench;
}

describe('clear text from the routing host to a target', () => {
  it('crosses the cluster sealed, and reaches the TUN as it came', () => {
    const bench = new ClearBench();
    const packet = syn({ data: 'PLAINTEXT' });
    const sealed: Buffer[] = [];
    const send = bench.link.send.bind(bench.link);
    bench.link.send = (vector, peer, epoch) => {
      for (let i = 0; i < vector.count; i++) sealed.push(Buffer.from(vector.packet(i)));
      expect(vector.linkProtocol[0]).to.equal(LINK_PROTOCOL.SEALED);
      return send(vector, peer, epoch);
    };
    expect(bench.arrive(packet)).to.deep.equal(['sent']);
    expect(sealed.map((bytes) => bytes.includes('PLAINTEXT'))).to.deep.equal([false]);
    expect(bench.tun.take().map((bytes) => bytes.equals(packet))).to.deep.equal([true]);
    expect(bench.tracked).to.deep.equal([0]);
  });

  it('is of either family', () => {
    const bench = new ClearBench();
    const addresses = { source: CLIENT6, destination: DVIPA6 };
    expect(bench.arrive(tcpSegment({ ...addresses, flags: SYN }))).to.deep.equal(['sent']);
    const back = { source: DVIPA6, destination: CLIENT6, sourcePort: 80, destinationPort: 40_000 };
    expect(
      bench.leave(tcpSegment({ ...back, flags: SYN | ACK }), tcpSegment({ ...back, sourcePort: 81 })),
    ).to.deep.equal(['elsewhere', 'no-policy']);
    expect([bench.tun.take().length, bench.raw.take().length]).to.deep.equal([1, 1]);
  });

  const refused: readonly [what: string, packet: Buffer, reason: string][] = [
    ['ESP', ipv4({ source: STRANGER, protocol: 50, payload: Buffer.alloc(7) }), 'truncated'],
    ['AH', ipv4({ source: STRANGER, protocol: 51, payload: Buffer.alloc(40) }), 'clear'],
    ['IKE', datagram({ destinationPort: 500, data: Buffer.alloc(40) }), 'clear'],
    ['an ICMP redirect', icmp(5, 1, answer().subarray(0, 28), { source: ROUTER }), 'clear'],
    ['an ICMP error that quotes nothing of ours', unreachable(syn(), { source: ROUTER }), 'clear'],
    ['a source that is no host', syn({ source: '224.0.0.1' }), 'malformed'],
    ['TCP without a header', ipv4({ source: STRANGER, protocol: 6, payload: Buffer.alloc(4) }), 'malformed'],
  ];
  for (const [what, packet, reason] of refused) {
    it(`is never ${what}`, () => {
      const bench = new ClearBench();
      expect(bench.arrive(packet)).to.deep.equal([reason]);
      expect(bench.tun.packets).to.deep.equal([]);
    });
  }

  it('passes only when policies are known: before that it is refused on either host', () => {
    const bench = new ClearBench();
    bench.isRouterReady = false;
    expect(bench.arrive(syn())).to.deep.equal(['clear']);
    bench.isRouterReady = true;
    bench.isTargetReady = false;
    bench.arrive(syn());
    expect([counted(bench.routerDrops), counted(bench.targetDrops)]).to.deep.equal([
      { clear: 1 },
      { clear: 1 },
    ]);
    expect(bench.tun.packets).to.deep.equal([]);
  });

  it('is judged by the target again: by its record, its rules and its policies', () => {
    const settings = new ClearBench({ distributes: [true, false] });
    settings.arrive(syn());
    const policies = new ClearBench();
    let asked = 0;
    policies.covers = () => asked++ === 1;
    policies.arrive(syn());
    for (const bench of [settings, policies]) {
      expect(counted(bench.targetDrops)).to.deep.equal({ clear: 1 });
      expect(bench.tun.packets).to.deep.equal([]);
    }
  });

  it('leaves what it does not take to its reason: a message about the path of no SA', () => {
    const bench = new ClearBench();
    const pathMtuRefused = verdictOf('path-mtu-refused');
    bench.pathMtu = () => pathMtuRefused;
    expect(bench.arrive(unreachable(syn(), { source: ROUTER }, 4))).to.deep.equal(['path-mtu-refused']);
    bench.pathMtu = () => ELSEWHERE;
    expect(bench.arrive(unreachable(answer(), { source: ROUTER }, 4))).to.deep.equal(['elsewhere']);
    expect(bench.tun.packets).to.deep.equal([]);
  });

  it('comes in fragments as well: the routing host puts them together', () => {
    const bench = new ClearBench();
    const whole = datagram({ data: Buffer.alloc(2000, 0x61) });
    const payload = whole.subarray(20);
    const part = (offset: number, end: number) =>
      fragment4({
        source: STRANGER,
        destination: DVIPA,
        protocol: 17,
        offset,
        hasMore: end < payload.length,
        data: payload.subarray(offset, end),
      });
    expect(bench.arrive(part(1400, payload.length), part(0, 1400))).to.deep.equal(['elsewhere', 'elsewhere']);
    const [packet] = bench.tun.take();
    expect(packet?.subarray(20).equals(payload)).to.equal(true);
  });

  it('gets the checksum that its sender left to a network card; a wrong one stays wrong', () => {
    const bench = new ClearBench();
    const right = syn({ data: 'odd' });
    const [unfinished, wrong] = [Buffer.from(right), Buffer.from(right)];
    const pseudo = pseudoHeaderSum4(ip(STRANGER), ip(DVIPA), 6, right.length - 20);
    unfinished.writeUInt16BE(~foldChecksum(pseudo) & 0xffff, 36);
    wrong.writeUInt16BE(right.readUInt16BE(36) ^ 1, 36);
    bench.arrive(right, unfinished, wrong);
    expect(bench.tun.take().map((bytes) => bytes.readUInt16BE(36))).to.deep.equal([
      right.readUInt16BE(36),
      right.readUInt16BE(36),
      wrong.readUInt16BE(36),
    ]);
  });

  it('comes as many segments in one, and goes on as segments that fit the cluster network', () => {
    const bench = new ClearBench();
    bench.arrive(syn());
    bench.leave(answer({ flags: SYN | ACK }));
    bench.tun.take();
    const data = 'abcdefgh'.repeat(4000);
    const joined = syn({ flags: ACK, data });
    const wrong = Buffer.from(joined);
    wrong.writeUInt16BE(joined.readUInt16BE(36) ^ 1, 36);
    const pseudo = pseudoHeaderSum4(ip(STRANGER), ip(DVIPA), 6, joined.length - 20);
    joined.writeUInt16BE(~foldChecksum(pseudo) & 0xffff, 36);
    const before = syn({ flags: ACK, data: 'before' });
    const vector = new PacketVector(3, LARGE_SLOT_BYTES);
    for (const packet of [before, joined, wrong]) vector.push(packet);
    expect(bench.arriveAs(vector)).to.deep.equal(['sent', 'sent', 'checksum']);
    const [first, ...pieces] = bench.tun.take();
    expect(first?.equals(before)).to.equal(true);
    expect(pieces.map((piece) => piece.subarray(40).toString('latin1')).join('')).to.equal(data);
    expect(Math.max(...pieces.map(({ length }) => length))).to.equal(1500 - 76);
    expect([counted(bench.routerDrops), counted(bench.targetDrops)]).to.deep.equal([{ checksum: 1 }, {}]);
  });

  it('clamps what TCP may send to what fits the cluster network sealed', () => {
    const bench = new ClearBench();
    const options = Buffer.from('020405b4', 'hex');
    const header = syn().subarray(20);
    header.writeUInt8(6 << 4, 12);
    const payload = Buffer.concat([header, options]);
    bench.arrive(ipv4({ source: STRANGER, protocol: 6, payload }));
    expect(bench.tun.take()[0]?.readUInt16BE(42)).to.equal(1500 - 76 - 40);
  });
});

describe('clear text, whatever bytes', () => {
  it('throws nothing, and every packet has a verdict or is sent', () => {
    const seeds = [
      syn({ data: 'x' }),
      datagram({ data: Buffer.alloc(30) }),
      icmpEcho({ source: STRANGER }),
      unreachable(answer(), { source: ROUTER }),
      tcpSegment({ source: CLIENT6, destination: DVIPA6, flags: SYN }),
    ];
    const change = fc.tuple(fc.nat(79), fc.nat(255));
    const packet = fc
      .tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: 6 }), fc.nat(80))
      .map(([seed, changes, cutOff]) => {
        const bytes = Buffer.from(seed);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return bytes.subarray(0, Math.max(1, bytes.length - cutOff));
      });
    fc.assert(
      fc.property(fc.array(packet, { minLength: 1, maxLength: 8 }), (packets) => {
        const bench = new ClearBench();
        expect(bench.arrive(...packets)).not.to.include('keep');
        expect(bench.leave(...packets)).not.to.include('keep');
        // Nothing of this came in clear from where it would go.
        expect(bench.raw.packets).to.deep.equal([]);
      }),
    );
  });
});

describe('answers in clear', () => {
  it('leave for a connection that came in clear, and for no other', () => {
    const bench = opened(new ClearBench());
    expect(
      bench.leave(
        answer({ data: 'to it' }),
        answer({ destinationPort: 40_001 }),
        answer({ destination: '192.0.2.201' }),
        answer({ sourcePort: 81 }),
      ),
    ).to.deep.equal(['elsewhere', 'no-policy', 'no-policy', 'no-policy']);
    expect(bench.raw.take()).to.have.lengthOf(1);
    expect(counted(bench.targetDrops)).to.deep.equal({});
  });

  it('leave for datagrams: to where one came from', () => {
    const bench = new ClearBench();
    expect(bench.leave(udpAnswer())).to.deep.equal(['no-policy']);
    bench.arrive(datagram());
    expect(bench.leave(udpAnswer(), udpAnswer({ sourcePort: 54 }))).to.deep.equal(['elsewhere', 'no-policy']);
    bench.now += 120_000;
    expect(bench.leave(udpAnswer())).to.deep.equal(['no-policy']);
  });

  it('leave for an echo for some seconds; our host pings nobody', () => {
    const bench = new ClearBench();
    const [echo, echoReply] = [8, 0].map((type) =>
      icmp(type, 0, Buffer.alloc(8), { source: DVIPA, destination: STRANGER }),
    ) as [Buffer, Buffer];
    bench.arrive(icmpEcho({ source: STRANGER }));
    expect(bench.leave(echo, echoReply)).to.deep.equal(['no-policy', 'elsewhere']);
    bench.now += 10_000;
    expect(bench.leave(echoReply)).to.deep.equal(['no-policy']);
  });

  it('leave as errors about what came in clear', () => {
    const bench = new ClearBench();
    const fields = { source: DVIPA, destination: STRANGER };
    expect(bench.leave(unreachable(datagram(), fields, 3))).to.deep.equal(['no-policy']);
    bench.arrive(datagram());
    expect(
      bench.leave(
        unreachable(datagram(), fields, 3),
        unreachable(datagram({ sourcePort: 1 }), fields, 3),
        unreachable(datagram({ source: '192.0.2.9' }), fields, 3),
      ),
    ).to.deep.equal(['elsewhere', 'no-policy', 'no-policy']);
  });

  it('hear of errors about themselves, from whoever is on the way, and of no others', () => {
    const bench = opened(new ClearBench());
    const pathMtuRefused = verdictOf('path-mtu-refused');
    bench.pathMtu = () => pathMtuRefused;
    const about = (more = {}) => unreachable(answer(more), { source: ROUTER }, 4);
    expect(bench.arrive(about(), about({ destinationPort: 40_001 }))).to.deep.equal(['sent', 'sent']);
    expect(bench.tun.take()).to.have.lengthOf(1);
    expect(counted(bench.targetDrops)).to.deep.equal({ clear: 1 });
  });

  it('stop when the rules, a policy or the routing host say so', () => {
    const rules = [{ ...PERMIT_ALL, action: 'require-ipsec' } as const];
    const strict = new ClearBench({ rules });
    strict.connections.admit(
      {
        dvipa: addr(DVIPA),
        source: addr(STRANGER),
        group: 0,
        protocol: 6,
        sourcePort: 40_000,
        destinationPort: 80,
      },
      SYN,
      strict.now,
    );
    expect(strict.leave(answer({ flags: SYN | ACK }))).to.deep.equal(['no-policy']);
    const bench = opened(new ClearBench());
    bench.covers = () => true;
    expect(bench.leave(answer())).to.deep.equal(['no-policy']);
    bench.covers = () => false;
    bench.isTargetReady = false;
    expect(bench.leave(answer())).to.deep.equal(['no-policy']);
    bench.isTargetReady = true;
    expect(bench.leave(answer())).to.deep.equal(['elsewhere']);
  });

  it('never leave for a connection that goes through an SA by now', () => {
    const bench = opened(new ClearBench());
    bench.arrive(syn({ flags: ACK }));
    const vector = vectorOfInner(syn({ flags: ACK }));
    bench.clear.protect(vector, 0, true);
    expect(bench.leave(answer())).to.deep.equal(['no-policy']);
    bench.tun.take();
    bench.arrive(syn({ flags: ACK }), syn());
    expect(bench.tun.packets).to.deep.equal([]);
  });

  it('leave in fragments if the first one may', () => {
    const bench = new ClearBench();
    const part = (identification: number, offset: number) =>
      fragment4({
        source: DVIPA,
        destination: STRANGER,
        protocol: 17,
        identification,
        offset,
        hasMore: offset === 0,
        data: udpAnswer({ data: Buffer.alloc(800) }).subarray(20 + offset, 420 + offset),
      });
    expect(bench.leave(part(1, 0), part(1, 400))).to.deep.equal(['no-policy', 'no-policy']);
    bench.arrive(datagram());
    expect(bench.leave(part(2, 0), part(2, 400), part(3, 400))).to.deep.equal([
      'elsewhere',
      'elsewhere',
      'no-policy',
    ]);
    expect(bench.raw.take()).to.have.lengthOf(2);
  });

  it('that do not fit the outside link come back to the kernel as too big', () => {
    const bench = opened(new ClearBench());
    expect(bench.leave(answer({ data: 'x'.repeat(1500) }))).to.deep.equal(['too-big']);
    const [message] = bench.kernel.take();
    expect(message?.readUInt16BE(20)).to.equal(0x0304);
    expect(message?.readUInt16BE(26)).to.equal(1500);
    expect(bench.raw.packets).to.deep.equal([]);
  });
});
