import { expect } from 'chai';
import * as fc from 'fast-check';
import { parseTraceRequest } from '../../src/agents/trace-request.ts';
import { DROP_REASONS, ELSEWHERE, KEEP } from '../../src/base/verdict.ts';
import type { Trace } from '../../src/dataplane/trace/trace-steps.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';
import {
  ACK,
  CLIENT_INNER,
  DVIPA,
  ENDPOINT,
  espInUdp,
  reply,
  RST,
  SYN,
  tcp,
} from '../support/inner-packets.ts';

/** What a client or somebody else sends next. */
const KINDS = [
  'open',
  'segment',
  'again',
  'damaged',
  'damaged-header',
  'stranger',
  'cut',
  'clear',
  'own-source',
] as const;
type Kind = (typeof KINDS)[number];

const NO_WEB = { action: 'deny', protocol: 'tcp', ports: { from: 81, to: 81 } } as const;
const ANY = { action: 'permit', protocol: 'any', ports: { from: 0, to: 65_535 } } as const;

/** A cluster that is sent what a script says, with or without traces before each packet. */
class Scripted {
  readonly cluster: MemoryCluster;
  readonly #isTraced: boolean;
  #last = Buffer.alloc(0);
  #port = 0;
  #others = 50_000;

  constructor(isTraced: boolean, inboundFilter: 'filter' | 'bypass') {
    this.cluster = new MemoryCluster({ targets: 2, dvipa: { inboundFilter, rules: [NO_WEB, ANY] } });
    this.#isTraced = isTraced;
  }

  async run(kinds: readonly Kind[]): Promise<void> {
    await this.cluster.up();
    for (const kind of kinds) await this.#step(this.#packet(kind));
    await this.cluster.run(20);
  }

  /** All that packets change, and traces must not. */
  async state(): Promise<object> {
    const { cluster } = this;
    const { router, targets } = cluster;
    return {
      router: [
        counted(router.drops),
        await router.answers.connections({}),
        router.answers.filters(),
        router.answers.sas(),
      ],
      targets: targets.map(({ drops, parts }) => [
        counted(drops),
        parts.inbound.opened,
        [...parts.flows.flows()].length,
      ]),
      delivered: [...cluster.delivered],
      held: router.host.inbound.held,
      opening: router.answers.status().opening,
    };
  }

  async #step(datagram: Buffer): Promise<void> {
    const { cluster } = this;
    const { router, clock } = cluster;
    const predicted = this.#isTraced
      ? router.host.trace.run({ bytes: datagram, isInner: false }, clock.now())
      : undefined;
    if (this.#isTraced)
      for (const { parts } of cluster.targets) parts.trace.inbound({ bytes: datagram, isInner: false });
    if (this.#isTraced) this.#traceOther();
    const vector = new PacketVector(1);
    vector.push(datagram);
    router.host.inbound.run(vector, clock.now());
    if (predicted !== undefined) expect(outcomeOf(vector), explain(predicted)).to.deep.equal(told(predicted));

    const at = predicted?.outcome.kind === 'dispatch' ? predicted.outcome.target + 1 : undefined;
    const target = at === undefined ? undefined : cluster.target(at);
    const expected = target?.parts.trace.inbound({ bytes: datagram, isInner: false });
    const before = target && { drops: counted(target.drops), delivered: target.parts.delivery.packets };
    await cluster.run(3);
    if (target === undefined || expected === undefined || before === undefined) return;
    const isDelivered = target.parts.delivery.packets > before.delivered;
    expect(isDelivered, explain(expected)).to.equal(expected.outcome.kind === 'deliver');
    if (expected.outcome.kind !== 'drop') return;
    const { reason } = expected.outcome;
    expect(counted(target.drops)[reason] ?? 0, explain(expected)).to.equal((before.drops[reason] ?? 0) + 1);
  }

  /** A connection that is traced and never comes. */
  #traceOther(): void {
    const { router, clock } = this.cluster;
    const bytes = tcp({ sourcePort: this.#others++ });
    router.host.trace.run({ bytes, isInner: true }, clock.now());
    for (const { parts } of this.cluster.targets) {
      parts.trace.inbound({ bytes, isInner: true });
      parts.trace.outboundPacket(
        { bytes: reply({ destinationPort: this.#others }), isInner: false },
        clock.now(),
      );
    }
  }

  #packet(kind: Kind): Buffer {
    const client = this.cluster.client(1);
    switch (kind) {
      case 'open': {
        const { port, datagram } = client.open();
        this.#port = port;
        return this.#remembered(datagram);
      }
      case 'segment':
        return this.#remembered(client.segment(this.#port === 0 ? 40_000 : this.#port).datagram);
      case 'again':
        return Buffer.from(this.#last.length === 0 ? this.#packet('open') : this.#last);
      case 'damaged':
        return damaged(client.segment(this.#port).datagram, -1);
      case 'damaged-header':
        return damaged(client.segment(this.#port).datagram, 44);
      case 'stranger':
        return espInUdp(Buffer.alloc(80, 0x77), {
          source: '192.0.2.66',
          sourcePort: 4500,
          destination: ENDPOINT,
        });
      case 'cut':
        return client.segment(this.#port).datagram.subarray(0, 30);
      case 'clear':
        return tcp({ source: '192.0.2.66' });
      case 'own-source':
        return client.sentFrom(client.segment(this.#port).datagram, DVIPA, 4500);
    }
  }

  #remembered(datagram: Buffer): Buffer {
    this.#last = Buffer.from(datagram);
    return datagram;
  }
}

/** One bit is wrong at `at`, from the end if negative. */
function damaged(datagram: Buffer, at: number): Buffer {
  const copy = Buffer.from(datagram);
  const place = at < 0 ? copy.length + at : at;
  copy[place] = (copy[place] as number) ^ 0x10;
  return copy;
}

/** What the pipeline made of its one packet. */
function outcomeOf(vector: PacketVector): string {
  const verdict = vector.verdict[0] as number;
  if (verdict === KEEP) return `dispatch ${vector.target[0]}`;
  return verdict === ELSEWHERE ? 'elsewhere' : `drop ${DROP_REASONS[verdict]}`;
}

function told({ outcome }: Trace): string {
  if (outcome.kind === 'dispatch') return `dispatch ${outcome.target}`;
  return outcome.kind === 'drop' ? `drop ${outcome.reason}` : 'elsewhere';
}

function explain({ steps }: Trace): string {
  return steps
    .map(({ step, verdict, reason, detail }) => `${step} ${reason ?? verdict}: ${detail}`)
    .join('\n');
}

const script = fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 25 });

describe('dvipa trace', function () {
  this.timeout(60_000);

  it('says of every packet what the routing host and its target then do with it, and changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(script, fc.constantFrom('filter' as const, 'bypass' as const), async (kinds, mode) => {
        const [traced, plain] = [new Scripted(true, mode), new Scripted(false, mode)];
        await traced.run(kinds);
        await plain.run(kinds);
        expect(await traced.state()).to.deep.equal(await plain.state());
        traced.cluster.close();
        plain.cluster.close();
      }),
      { numRuns: 25 },
    );
  });

  it('says of what a target’s kernel sends what becomes of it, and changes nothing', async () => {
    const cluster = new MemoryCluster({ targets: 1 });
    await cluster.up();
    const { port, datagram } = cluster.client(1).open();
    cluster.send(datagram);
    await cluster.run(10);
    const { parts, drops } = cluster.target(1);
    const way = (bytes: Buffer) =>
      parts.trace.outboundPacket({ bytes, isInner: false }, cluster.clock.now()).outcome;
    const answer = { source: DVIPA, destination: CLIENT_INNER, sourcePort: 80, destinationPort: port };
    const before = counted(drops);
    expect(way(tcp({ ...answer, flags: ACK }))).to.deep.equal({ kind: 'send' });
    expect(way(tcp({ ...answer, destination: '10.9.9.9', flags: ACK }))).to.deep.equal({
      kind: 'drop',
      reason: 'no-policy',
    });
    expect(way(tcp({ ...answer, source: '203.0.113.99', flags: ACK }))).to.deep.equal({
      kind: 'drop',
      reason: 'source-not-dvipa',
    });
    expect(way(tcp({ ...answer, sourcePort: 50_000, flags: SYN }))).to.be.an('object');
    expect(way(tcp({ ...answer, flags: ACK, hasDontFragment: true, data: 'x'.repeat(2000) }))).to.deep.equal({
      kind: 'drop',
      reason: 'too-big',
    });
    expect(way(reply({ flags: RST, destinationPort: 1 }))).to.be.an('object');
    expect(counted(drops)).to.deep.equal(before);
    cluster.close();
  });

  it('of an inner packet takes the SA that fits, or the one that is named, and names the rule that decides', async () => {
    const cluster = new MemoryCluster({
      targets: 1,
      dvipa: { inboundFilter: 'filter', rules: [NO_WEB, ANY] },
    });
    await cluster.up();
    const now = cluster.clock.now();
    const run = (args: object) => cluster.router.host.trace.run(parseTraceRequest({ ...args }).packet, now);
    const web = run({ from: CLIENT_INNER, fromPort: 40_000, to: DVIPA, toPort: 81 });
    expect(web.outcome).to.deep.equal({ kind: 'drop', reason: 'filter' });
    expect(web.steps.at(-1)).to.include({ step: 'filter', verdict: 'drop', detail: 'rule 1 of 2' });
    expect(run({ from: CLIENT_INNER, to: DVIPA, toPort: 80 }).outcome).to.include({
      kind: 'dispatch',
      target: 0,
    });
    expect(run({ from: '10.9.9.9', to: DVIPA }).outcome).to.deep.equal({
      kind: 'drop',
      reason: 'tunnel-check',
    });
    expect(run({ from: CLIENT_INNER, to: DVIPA, spi: 'deadbeef' }).outcome).to.deep.equal({
      kind: 'drop',
      reason: 'unknown-spi',
    });
    expect(run({ from: CLIENT_INNER, to: DVIPA, inClear: true }).outcome).to.deep.equal({
      kind: 'drop',
      reason: 'clear',
    });
    cluster.close();
  });

  for (const [args, words] of [
    [{}, 'expected hex, or both from and to'],
    [{ hex: 'abc' }, 'hex: expected whole bytes in hex'],
    [{ hex: '00'.repeat(65_536) }, 'hex: expected at most 65535 bytes'],
    [{ from: 'x', to: DVIPA }, 'x: expected an IP address'],
    [{ from: '2001:db8::1', to: DVIPA }, 'are of different families'],
    [{ from: DVIPA, to: DVIPA, protocol: 'sctp' }, 'protocol: expected icmp, tcp'],
    [{ from: DVIPA, to: DVIPA, toPort: 70_000 }, 'toPort'],
    [{ from: DVIPA, to: DVIPA, spi: '12' }, 'spi: expected 8 hex digits'],
    [{ from: DVIPA, to: DVIPA, key: 'x' }, 'key'],
  ] as const) {
    it(`refuses ${JSON.stringify(args).slice(0, 60)}: ${words}`, () => {
      expect(() => parseTraceRequest(args)).to.throw(Error, words);
    });
  }
});
