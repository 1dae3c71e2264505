import { expect } from 'chai';
import { DropCounters } from '../../src/base/verdict.ts';
import type { ConnectionKey } from '../../src/connections/connection-key.ts';
import { FlowTracker } from '../../src/connections/flow-tracker.ts';
import { readInnerHeaders } from '../../src/dataplane/inner-headers.ts';
import { type LeasedPorts, OpenedFlows } from '../../src/dataplane/opened-flows.ts';
import { counted, outcomes, vectorOf } from '../support/dataplane-parts.ts';
import { ACK, CLIENT_INNER, DVIPA, ipv4, SYN, tcp, udp } from '../support/inner-packets.ts';

const SEED = Buffer.alloc(8, 3);
const GROUP = 7;
const PORTS: LeasedPorts = { all: { from: 40_000, to: 40_029 }, own: { from: 40_010, to: 40_019 } };

class Bench {
  readonly drops = new DropCounters();
  readonly flows = new FlowTracker({ seed: SEED, maxFlows: 64 });
  readonly asked: ConnectionKey[] = [];
  readonly sent: Buffer[] = [];
  leases: LeasedPorts | undefined = PORTS;
  now = 0;
  readonly opened = new OpenedFlows({
    leasesOf: () => this.leases,
    flows: this.flows,
    seed: SEED,
    ask: (key) => this.asked.push(key),
    send: (vector, now) => {
      // As the way out does: it is checked again.
      for (let i = 0; i < vector.count; i++) {
        readInnerHeaders(vector, i);
        if (this.opened.check(vector, i, GROUP, now) === 0) this.sent.push(Buffer.from(vector.packet(i)));
      }
    },
    drops: this.drops,
  });

  run(packet: Buffer): string {
    const vector = vectorOf(packet);
    readInnerHeaders(vector, 0);
    vector.verdict[0] = this.opened.check(vector, 0, GROUP, this.now);
    return outcomes(vector)[0] as string;
  }

  heard(packet: Buffer): void {
    const vector = vectorOf(packet);
    readInnerHeaders(vector, 0);
    this.opened.heard(vector, 0, GROUP, this.now);
  }

  answer(isYours: boolean): void {
    this.opened.answered(this.asked.at(-1) as ConnectionKey, isYours, this.now);
  }
}

const out = { source: DVIPA, destination: CLIENT_INNER, destinationPort: 80 };
const syn = (sourcePort: number) => tcp({ ...out, sourcePort, flags: SYN });
const datagram = (sourcePort: number, data = 'x') => udp({ ...out, sourcePort, data: Buffer.from(data) });
/** RFC 792: type, code, checksum (nobody looks here), identifier, number. */
const echo = (type: number, id: number) =>
  ipv4({ ...out, protocol: 1, payload: Buffer.from([type, 0, 0, 0, id >> 8, id & 255, 0, 1]) });
const ping = echo(8, 1);

describe('flows that a target opens', () => {
  it('pass at once from its own ports', () => {
    const bench = new Bench();
    expect([syn(40_010), syn(40_019), datagram(40_015)].map((packet) => bench.run(packet))).deep.equal([
      'keep',
      'keep',
      'keep',
    ]);
    expect(bench.asked).deep.equal([]);
  });

  it('from ports of other targets they are dropped', () => {
    const bench = new Bench();
    expect(
      [syn(40_000), syn(40_009), datagram(40_020), syn(40_029)].map((packet) => bench.run(packet)),
    ).deep.equal(Array(4).fill('source-port-not-leased'));
    bench.leases = { all: PORTS.all, own: undefined };
    expect(bench.run(syn(40_010))).equal('source-port-not-leased');
    expect(bench.asked).deep.equal([]);
  });

  it('from any other port they wait until the routing host has said yes, and leave in order', () => {
    for (const packets of [[syn(20_000)], [datagram(39_999), datagram(39_999, 'y')], [ping, ping]]) {
      const bench = new Bench();
      expect(packets.map((packet) => bench.run(packet))).deep.equal(packets.map(() => 'elsewhere'));
      expect(bench.asked).length(1);
      expect(bench.sent).deep.equal([]);
      bench.answer(true);
      expect(bench.sent).deep.equal(packets);
      expect(bench.run(packets[0] as Buffer)).equal('keep');
      expect(bench.asked).length(1);
    }
  });

  it('the routing host is told the flow as its peer sees it; of an echo the identifier', () => {
    const bench = new Bench();
    for (const packet of [syn(20_000), echo(8, 4711)]) bench.run(packet);
    expect(
      bench.asked.map((key) => [key.protocol, key.group, key.sourcePort, key.destinationPort]),
    ).deep.equal([
      [6, GROUP, 80, 20_000],
      [1, GROUP, 8, 4711],
    ]);
  });

  it('if another target has it they are dropped, and asked for again', () => {
    const bench = new Bench();
    bench.run(syn(20_000));
    bench.answer(false);
    expect(counted(bench.drops)).deep.equal({ 'source-port-taken': 1 });
    expect(bench.run(syn(20_000))).equal('elsewhere');
    expect(bench.asked).length(2);
  });

  it('without an answer they time out; a late answer to nothing is passed over', () => {
    const bench = new Bench();
    bench.run(syn(20_000));
    bench.opened.tick(999);
    expect(counted(bench.drops)).deep.equal({});
    bench.opened.tick(1000);
    expect(counted(bench.drops)).deep.equal({ 'queue-timeout': 1 });
    bench.now = 1001;
    bench.answer(true);
    expect(bench.sent).deep.equal([]);
    expect(bench.run(syn(20_000))).equal('elsewhere');
  });

  it('eight packets of a flow wait, and 256 in all', () => {
    const bench = new Bench();
    const results = (packets: Buffer[]) => packets.map((packet) => bench.run(packet));
    expect(results(Array(9).fill(ping)).slice(7)).deep.equal(['elsewhere', 'queue-overflow']);
    const many = results(Array.from({ length: 250 }, (_, i) => syn(1024 + i)));
    expect(many.filter((result) => result === 'elsewhere')).length(248);
    expect(many.at(-1)).equal('queue-overflow');
  });

  it('while they are used the routing host is asked again in time, and nothing waits', () => {
    const bench = new Bench();
    bench.run(ping);
    bench.answer(true);
    bench.now = 15_001;
    expect([bench.run(ping), bench.run(ping)]).deep.equal(['keep', 'keep']);
    expect(bench.asked).length(2);
    bench.answer(true);
    bench.now = 40_000;
    expect(bench.run(ping)).equal('keep');
    bench.now = 80_000;
    expect(bench.run(ping), 'after a pause').equal('elsewhere');
  });

  it('a new session is asked everything again', () => {
    const bench = new Bench();
    bench.run(ping);
    bench.answer(true);
    bench.run(syn(20_000));
    bench.opened.sessionOpened();
    expect(bench.asked.map(({ protocol }) => protocol)).deep.equal([1, 6, 6]);
    expect(bench.run(ping), 'what the one before has granted').equal('elsewhere');
  });
});

describe('what a target answers', () => {
  it('passes, from whichever port: segments, datagrams to who has sent one, echo replies, fragments', () => {
    const bench = new Bench();
    const inbound = udp({ source: CLIENT_INNER, destination: DVIPA, sourcePort: 80, destinationPort: 53 });
    const toOthers = udp({
      source: CLIENT_INNER,
      destination: DVIPA,
      sourcePort: 80,
      destinationPort: 40_000,
    });
    for (const packet of [inbound, toOthers]) bench.heard(packet);
    const answers = [
      tcp({ ...out, sourcePort: 40_000, flags: SYN | ACK }),
      tcp({ ...out, sourcePort: 80, flags: ACK }),
      datagram(53),
      datagram(40_000),
      echo(0, 5),
    ];
    expect(answers.map((packet) => bench.run(packet))).deep.equal(answers.map(() => 'keep'));
    expect(bench.run(datagram(54)), 'nobody asked').equal('elsewhere');
  });

  it('datagrams of a flow that is open pass for as long as it is', () => {
    const bench = new Bench();
    bench.run(datagram(53));
    const key = bench.asked[0] as ConnectionKey;
    bench.flows.observe(key, 0, false, 0);
    bench.now = 100_000;
    expect(bench.run(datagram(53))).equal('keep');
  });
});
