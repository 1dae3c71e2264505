import { expect } from 'chai';
import { type ConnectionKey, newConnectionKey } from '../../src/connections/connection-key.ts';
import { LookAlikes } from '../../src/dataplane/look-alikes.ts';
import type { ShadowOutboundSa } from '../../src/dataplane/target-outbound.ts';
import { GroupOverlaps } from '../../src/ipsec/group-overlaps.ts';
import { counted, outcomes } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { fragment4 } from '../support/fragments.ts';
import {
  ACK,
  addr,
  CLIENT_INNER,
  DVIPA,
  espInUdp,
  FIN,
  icmpEcho,
  ipv4,
  reply,
  RST,
  SYN,
  tcp,
  udp,
} from '../support/inner-packets.ts';
import { policyFor, type SaTest, testSa } from '../support/test-sas.ts';
import { OutboundBench, openAll } from './outbound-bench.ts';
import { TargetBench } from './target-bench.ts';

const PEERS = { A: 1, B: 2, C: 3 } as const;
type Peer = keyof typeof PEERS;
const outerOf = (peer: Peer) => `192.0.2.10${PEERS[peer]}`;

/** A peer's two SAs on the target, and its end of them. */
interface Sas {
  readonly group: number;
  readonly ids: readonly [ReturnType<typeof testSa>, ReturnType<typeof testSa>];
  readonly out: ShadowOutboundSa;
  readonly sealing: EspPeer;
  readonly opening: EspPeer;
}

/** Both ways of a target, with peers A, B and C that have one inner address. */
class Bench {
  readonly overlaps = new GroupOverlaps();
  readonly inbound = new TargetBench();
  readonly outbound = new OutboundBench(this.overlaps);
  readonly flows: ConnectionKey[] = [];
  readonly #sas = new Map<Peer, Sas>();
  now = 0;
  readonly lookAlikes = new LookAlikes({
    overlaps: this.overlaps,
    sad: this.outbound.sad,
    openFlows: () => this.flows,
    seed: Buffer.alloc(8, 5),
    now: () => this.now,
  });

  constructor(...peers: Peer[]) {
    this.inbound.admits = (vector, i, group) => this.lookAlikes.admits(vector, i, group);
    this.outbound.choosePolicy = (vector, i, best) => this.lookAlikes.choose(vector, i, best);
    for (const peer of peers) this.up(peer);
  }

  up(peer: Peer, given: Partial<SaTest> = {}, spi = 0): void {
    const group = PEERS[peer];
    const common = { group, client: outerOf(peer), ...given };
    const [into, out] = [
      testSa({ spi: 0x1000 + group + spi, ...common }),
      testSa({ spi: 0x2000 + group + spi, direction: 'out', ...common }),
    ];
    this.inbound.install(into);
    const entry = this.outbound.install(out, { hasPolicy: false, senderId: group });
    this.outbound.sad.installPolicy(policyFor(out, { key: `out ${group}` }));
    for (const sa of [into, out]) this.overlaps.add(sa);
    const [sealing, opening] = [new EspPeer('aes128gcm16', into.spi), new EspPeer('aes128gcm16', out.spi)];
    this.#sas.set(peer, { group, ids: [into, out], out: entry, sealing, opening });
  }

  down(peer: Peer, hasPolicy = false): void {
    const { group, ids, out } = this.of(peer);
    if (!hasPolicy) this.outbound.sad.removePolicy(`out ${group}`);
    for (const { id } of ids) this.overlaps.remove(id);
    this.inbound.sad.remove(ids[0].id);
    this.outbound.remove(out);
  }

  of(peer: Peer): Sas {
    return this.#sas.get(peer) as Sas;
  }

  /** An inner packet of a peer: what becomes of it. */
  from(peer: Peer, inner: Uint8Array): string {
    const esp = this.of(peer).sealing.seal(inner);
    return outcomes(this.inbound.run(espInUdp(esp, { source: outerOf(peer) })))[0] ?? '';
  }

  /** What the kernel sends: the peer that it went to, or the reason. */
  to(inner: Uint8Array): string {
    const vector = this.outbound.run(inner);
    // Whoever has no numbers yet has asked for some now.
    for (const { out } of this.#sas.values()) this.outbound.grant(out, 1, 100);
    const [sent] = this.outbound.raw.take();
    if (sent === undefined) return outcomes(vector)[0] ?? '';
    const to = sent.subarray(16, 20).join('.');
    const peer = (['A', 'B', 'C'] as const).find((one) => outerOf(one) === to);
    if (peer === undefined) return to;
    return openAll([sent], this.of(peer).opening)[0] === undefined ? `${peer}, who cannot open it` : peer;
  }
}

const answer = (sourcePort: number, flags = SYN | ACK) => reply({ destinationPort: sourcePort, flags });
const datagram = { source: DVIPA, destination: CLIENT_INNER, sourcePort: 53, destinationPort: 5353 };
/** An ICMP error, port unreachable, that quotes a packet. */
const unreachable = (from: string, to: string, quoted: Buffer) =>
  ipv4({
    source: from,
    destination: to,
    protocol: 1,
    payload: Buffer.concat([Buffer.from('0303000000000000', 'hex'), quoted.subarray(0, 28)]),
  });
const piece = (identification: number, offset: number, direction: 'in' | 'out', port = 5353) => {
  const header = Buffer.alloc(16);
  header.writeUInt16BE(direction === 'in' ? port : 53, 0);
  header.writeUInt16BE(direction === 'in' ? 53 : port, 2);
  const [source, destination] = direction === 'in' ? [CLIENT_INNER, DVIPA] : [DVIPA, CLIENT_INNER];
  const common = { source, destination, protocol: 17, identification, offset };
  return fragment4({ ...common, hasMore: offset === 0, data: header });
};

describe('peers that look alike, on a target', () => {
  it('are answered each by its own group, whichever policy comes first', () => {
    const bench = new Bench('A', 'B');
    expect([bench.from('A', tcp({ sourcePort: 1 })), bench.from('B', tcp({ sourcePort: 2 }))]).to.deep.equal([
      'keep',
      'keep',
    ]);
    expect([bench.to(answer(1)), bench.to(answer(2)), bench.to(answer(1, ACK))]).to.deep.equal([
      'A',
      'B',
      'A',
    ]);
  });

  it('have a tuple one after the other, never together: the second is refused as `look-alike`', () => {
    const bench = new Bench('A', 'B');
    expect(bench.from('A', tcp())).to.equal('keep');
    expect(bench.from('B', tcp())).to.equal('look-alike');
    expect(bench.from('B', tcp({ flags: RST }))).to.equal('look-alike');
    expect(bench.to(answer(40_000))).to.equal('A');
    expect(bench.inbound.authenticated).to.have.length(1);
    expect(bench.inbound.tun.take()).to.have.length(1);
    expect(counted(bench.inbound.drops)).to.deep.equal({ 'look-alike': 2 });
    for (const flags of [FIN | ACK, ACK]) bench.from('A', tcp({ flags }));
    expect(bench.to(answer(40_000, FIN | ACK))).to.equal('A');
    bench.now = 59_999;
    expect(bench.from('B', tcp())).to.equal('look-alike');
    bench.now = 60_000;
    expect(bench.from('B', tcp())).to.equal('keep');
    expect(bench.to(answer(40_000))).to.equal('B');
    expect(bench.from('A', tcp())).to.equal('look-alike');
  });

  it('get what nobody is bound to by the newest policy, but nothing of a connection that is under way', () => {
    const bench = new Bench('B', 'A');
    expect(bench.to(answer(1, SYN))).to.equal('B');
    expect(bench.to(udp(datagram))).to.equal('B');
    expect(bench.to(answer(1, ACK))).to.equal('look-alike');
    expect(bench.from('A', tcp({ sourcePort: 1, flags: SYN | ACK }))).to.equal('keep');
    expect(bench.to(answer(1, ACK))).to.equal('A');
  });

  it("do not get each other's packets when the bound group has no policy", () => {
    const bench = new Bench('A', 'B');
    bench.from('A', tcp());
    bench.outbound.sad.removePolicy('out 1');
    expect(bench.to(answer(40_000))).to.equal('look-alike');
  });

  it('are followed over a rekey: the group stays', () => {
    const bench = new Bench('A', 'B');
    bench.from('A', tcp());
    const old = bench.of('A');
    bench.up('A', {}, 0x100);
    for (const { id } of old.ids) bench.overlaps.remove(id);
    expect(bench.to(answer(40_000))).to.equal('A');
    expect(bench.from('B', tcp())).to.equal('look-alike');
    expect(bench.from('A', tcp({ flags: ACK }))).to.equal('keep');
  });

  it('keep the connections that they had before somebody looked like them', () => {
    const bench = new Bench('A');
    bench.flows.push({
      ...newConnectionKey(),
      dvipa: addr(DVIPA),
      group: 1,
      protocol: 6,
      source: addr(CLIENT_INNER),
      sourcePort: 40_000,
      destinationPort: 80,
    });
    expect(bench.to(answer(40_000, ACK))).to.equal('A');
    bench.up('B');
    expect(bench.to(answer(40_000, ACK))).to.equal('A');
    expect(bench.from('B', tcp())).to.equal('look-alike');
  });

  it('leave everything to one that comes again from elsewhere, when charon deletes what it had', () => {
    const bench = new Bench('A');
    bench.from('A', tcp({ sourcePort: 1 }));
    bench.up('B'); // the same host, as group 2
    expect(bench.from('A', tcp({ sourcePort: 1 }))).to.equal('keep');
    expect(bench.to(udp(datagram))).to.equal('B');
    expect(bench.from('B', tcp({ sourcePort: 2 }))).to.equal('keep');
    expect(bench.to(answer(2))).to.equal('B');
    expect(bench.from('B', tcp({ sourcePort: 1, flags: ACK }))).to.equal('look-alike');
    bench.down('A');
    expect(bench.lookAlikes.size).to.equal(0);
    expect(bench.from('B', tcp({ sourcePort: 1, flags: ACK }))).to.equal('keep');
    expect([bench.to(answer(1, ACK)), bench.to(answer(2, ACK))]).to.deep.equal(['B', 'B']);
  });

  it('cost peers that look like nobody no binding', () => {
    const bench = new Bench('A', 'B');
    bench.up('C', { clientInner: '10.1.3.1' });
    expect(bench.from('C', tcp({ source: '10.1.3.1' }))).to.equal('keep');
    expect(bench.to(reply({ destination: '10.1.3.1' }))).to.equal('C');
    expect(bench.lookAlikes.size).to.equal(0);
  });

  it('have UDP by ports, and ping one at a time', () => {
    const bench = new Bench('A', 'B');
    expect(bench.from('A', udp({ sourcePort: 5353 }))).to.equal('keep');
    expect(bench.from('B', udp({ sourcePort: 5353 }))).to.equal('look-alike');
    expect(bench.from('B', udp({ sourcePort: 5354 }))).to.equal('keep');
    expect(
      [5353, 5354].map((destinationPort) => bench.to(udp({ ...datagram, destinationPort }))),
    ).to.deep.equal(['A', 'B']);
    expect(bench.from('A', icmpEcho())).to.equal('keep');
    expect(bench.from('B', icmpEcho())).to.equal('look-alike');
    expect(bench.to(icmpEcho({ source: DVIPA, destination: CLIENT_INNER }))).to.equal('A');
    bench.now = 10_000;
    expect(bench.from('B', icmpEcho())).to.equal('keep');
  });

  it('are believed about errors of their own connections only, and are told of those alone', () => {
    const bench = new Bench('A', 'B');
    bench.from('A', tcp());
    bench.to(answer(40_000));
    const error = unreachable(CLIENT_INNER, DVIPA, answer(40_000));
    expect([bench.from('B', error), bench.from('A', error)]).to.deep.equal(['look-alike', 'keep']);
    const ours = unreachable(DVIPA, CLIENT_INNER, tcp());
    expect(bench.to(ours)).to.equal('A');
    expect(bench.to(unreachable(DVIPA, CLIENT_INNER, tcp({ sourcePort: 9 })))).to.equal('look-alike');
  });

  it('have the fragments of a datagram to themselves, in either direction and any order', () => {
    const bench = new Bench('A', 'B');
    expect(bench.from('A', piece(7, 16, 'in'))).to.equal('keep');
    expect(bench.from('B', piece(7, 16, 'in'))).to.equal('look-alike');
    expect(bench.from('B', piece(7, 0, 'in', 5354))).to.equal('look-alike');
    expect(bench.from('A', piece(7, 0, 'in'))).to.equal('keep');
    expect(bench.from('B', piece(8, 0, 'in', 5354))).to.equal('keep');
    expect(bench.to(piece(7, 16, 'out'))).to.equal('look-alike');
    expect([bench.to(piece(7, 0, 'out')), bench.to(piece(7, 16, 'out'))]).to.deep.equal(['A', 'A']);
    expect([bench.to(piece(7, 0, 'out', 5354)), bench.to(piece(7, 16, 'out'))]).to.deep.equal(['B', 'B']);
  });
});
