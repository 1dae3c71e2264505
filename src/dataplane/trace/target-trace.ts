import { ELSEWHERE, KEEP, type Verdict, verdictOf } from '../../base/verdict.ts';
import type { PacketCrypto } from '../../ipsec/packet-crypto.ts';
import { TAKE_FUNNEL, TAKE_STAMP, TAKE_WAIT } from '../../ipsec/numbering-holder.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import type { GroupOverlaps } from '../../ipsec/group-overlaps.ts';
import type { AddressSet } from '../../packet/address-map.ts';
import { type ClusterAddresses, classify } from '../classify.ts';
import type { ClearCheck } from '../clear-check.ts';
import type { FragmentMemory } from '../fragment-memory.ts';
import type { InboundSad } from '../inbound-sad.ts';
import { fitOf } from '../inner-fit.ts';
import { readInnerHeaders } from '../inner-headers.ts';
import type { LookAlikes } from '../look-alikes.ts';
import { checkInnerAddresses, followsFirst, readOpened } from '../opened-checks.ts';
import { ASK_AGAIN, type OpenedFlows } from '../opened-flows.ts';
import type { OutboundSad } from '../outbound-sad.ts';
import { isRefusedForCongestion } from '../outer-marks.ts';
import { previewOutboundSa } from '../outbound-steps.ts';
import { findShadow, type ShadowInboundSa } from '../target-inbound.ts';
import type { ShadowOutboundSa } from '../target-outbound.ts';
import { LARGE_SLOT_BYTES, PacketVector } from '../vector.ts';
import type { WithheldResets } from '../withheld-resets.ts';
import { innerText, outerText } from './inner-text.ts';
import { ruleText } from './routing-trace.ts';
import { type Trace, TraceBook, type TracedPacket } from './trace-steps.ts';

const FILTER = verdictOf('filter');
const LOOK_ALIKE = verdictOf('look-alike');
const SOURCE_NOT_DVIPA = verdictOf('source-not-dvipa');
const NO_POLICY = verdictOf('no-policy');
const NO_SA = verdictOf('no-sa');
const NO_NUMBER = verdictOf('no-number');
const HARD_LIMIT = verdictOf('hard-limit');
const TOO_BIG = verdictOf('too-big');
const CONGESTION = verdictOf('congestion');
const RETURN_ROUTER = verdictOf('return-router');

export interface TargetTraceParts {
  readonly inbound: InboundSad<ShadowInboundSa>;
  readonly outbound: OutboundSad<ShadowOutboundSa>;
  readonly addresses: () => ClusterAddresses;
  readonly crypto: PacketCrypto;
  /** As the two ways have them: of inbound and of outbound datagrams. */
  readonly inboundFragments: FragmentMemory;
  readonly outboundFragments: FragmentMemory;
  readonly overlaps: GroupOverlaps;
  readonly lookAlikes: LookAlikes;
  readonly dvipas: AddressSet;
  readonly resets: WithheldResets;
  readonly opened: OpenedFlows;
  readonly clear: Pick<ClearCheck, 'outbound'>;
  /** Of the routing host that is there, 0: none is. */
  readonly epoch: () => number;
}

/**
 * What a target's ways (`target-inbound.ts`, `target-outbound.ts`) would do with a packet now, by the same decisions. Nothing is
 * committed, counted, bound, asked for or sent; what was opened for it is wiped.
 */
export class TargetTrace {
  readonly #parts: TargetTraceParts;
  readonly #vector = new PacketVector(1, LARGE_SLOT_BYTES);

  constructor(parts: TargetTraceParts) {
    this.#parts = parts;
  }

  /** A packet for the DVIPA: outer, as the routing host dispatches it, or inner. */
  inbound(packet: TracedPacket): Trace {
    return this.#with(packet, (vector, book) =>
      packet.isInner ? this.#inner(vector, packet.spi, book) : this.#outer(vector, book),
    );
  }

  /** A packet of this host's kernel. */
  outboundPacket(packet: TracedPacket, now: number): Trace {
    return this.#with(packet, (vector, book) => this.#outbound(vector, book, now));
  }

  #with(packet: TracedPacket, run: (vector: PacketVector, book: TraceBook) => Trace): Trace {
    const vector = this.#vector;
    vector.reset();
    vector.push(packet.bytes);
    try {
      return run(vector, new TraceBook());
    } finally {
      vector.slab.fill(0);
      vector.reset();
    }
  }

  #outer(vector: PacketVector, book: TraceBook): Trace {
    const { addresses, inbound: sad, crypto } = this.#parts;
    classify(vector, addresses());
    const classified = vector.verdict[0] as Verdict;
    if (!book.judge('classify', classified, 'is it ESP to an endpoint')) return book.dropped(classified);
    const spi = vector.spi[0] as number;
    book.pass('outer', `${outerText(vector, 0)}, SPI ${formatSpi(spi)}, number ${vector.sequenceLow[0]}`);
    const known = sad.bySpi(spi);
    const isExtended = known?.sa.hasEsn === true;
    if (isExtended) vector.linkHigh[0] = known.window.inferHigh(vector.sequenceLow[0] as number);
    const found = findShadow(vector, 0, sad, addresses(), isExtended);
    if (!book.judge('sa', found, known === undefined ? 'no such SA here' : saText(known)))
      return book.dropped(found);
    const entry = sad.at(vector.saSlot[0] as number) as ShadowInboundSa;

    vector.offset[0] = vector.espOffset[0] as number;
    vector.length[0] = vector.espLength[0] as number;
    crypto.open(vector);
    const opened = vector.verdict[0] as Verdict;
    if (!book.judge('open', opened, 'integrity, padding, next header')) return book.dropped(opened);
    if (isRefusedForCongestion(vector, 0, entry.sa)) {
      book.judge('ecn', CONGESTION, 'congestion was marked on a packet without ECN');
      return book.dropped(CONGESTION);
    }
    if (!entry.meter.covers(1, vector.length[0] ?? 0)) {
      book.judge('lifesize', HARD_LIMIT, 'the credit does not cover it');
      return book.dropped(HARD_LIMIT);
    }
    const bad = readOpened(vector, 0, entry.sa);
    if (!book.judge('inner', bad, bad === KEEP ? innerText(vector, 0) : 'its headers'))
      return book.dropped(bad);
    return this.#opened(vector, entry, book);
  }

  /** An inner packet, as if it had been opened. */
  #inner(vector: PacketVector, spi: number | undefined, book: TraceBook): Trace {
    const { inbound: sad } = this.#parts;
    const bad = readInnerHeaders(vector, 0);
    if (!book.judge('inner', bad, bad === KEEP ? innerText(vector, 0) : 'its headers'))
      return book.dropped(bad);
    const entry =
      spi === undefined
        ? [...sad.values()].findLast(
            ({ dvipa, check, sa }) =>
              checkInnerAddresses(vector, 0, { dvipa, check, filter: undefined, group: sa.group }, false) ===
              KEEP,
          )
        : sad.bySpi(spi);
    if (entry === undefined) {
      const words = spi === undefined ? 'no SA has selectors that fit' : `no SA with SPI ${formatSpi(spi)}`;
      const reason = spi === undefined ? 'tunnel-check' : 'unknown-spi';
      return book.end('sa', { kind: 'drop', reason }, words);
    }
    book.pass('sa', saText(entry));
    return this.#opened(vector, entry, book);
  }

  #opened(vector: PacketVector, { sa, dvipa, check }: ShadowInboundSa, book: TraceBook): Trace {
    const { lookAlikes, inboundFragments } = this.#parts;
    const filter = dvipa.filterMode === 'bypass' ? dvipa.filter : undefined;
    const follows = followsFirst(vector, 0, sa.group, inboundFragments);
    const rules = { dvipa, check, filter, group: sa.group };
    const refused = checkInnerAddresses(vector, 0, rules, follows);
    if (!book.judge('tunnel-check', refused, 'destination, and the selectors of the SA'))
      return book.dropped(refused);
    if (filter === undefined || follows) {
      book.pass('filter', follows ? 'follows the first fragment of its datagram' : 'not on this host');
    } else {
      const { rule, isPermitted } = filter.preview(vector, 0, false);
      const verdict = isPermitted ? KEEP : FILTER;
      if (!book.judge('filter', verdict, ruleText(rule, filter.rules.length))) return book.dropped(verdict);
    }
    const admitted = lookAlikes.previewInbound(vector, 0, sa.group) ? KEEP : LOOK_ALIKE;
    if (!book.judge('look-alikes', admitted, 'is the connection this peer’s')) return book.dropped(admitted);
    return book.end('deliver', { kind: 'deliver' }, 'to the kernel, by the TUN');
  }

  #outbound(vector: PacketVector, book: TraceBook, now: number): Trace {
    const { outbound: sad, dvipas, lookAlikes, overlaps, outboundFragments } = this.#parts;
    const bad = readInnerHeaders(vector, 0);
    if (!book.judge('inner', bad, bad === KEEP ? innerText(vector, 0) : 'its headers'))
      return book.dropped(bad);
    const isOurs = dvipas.has(vector.innerSource, 0) ? KEEP : SOURCE_NOT_DVIPA;
    if (!book.judge('source', isOurs, 'is it a DVIPA of this host')) return book.dropped(isOurs);
    const choose = lookAlikes.previewOutbound.bind(lookAlikes);
    const found = previewOutboundSa(vector, 0, sad, choose, outboundFragments, overlaps);
    if (found === NO_POLICY) return this.#inClear(vector, book);
    const entry = sad.at(vector.saSlot[0] as number);
    if (found === NO_SA || (found === KEEP && entry?.iv === undefined)) return this.#withoutSa(vector, book);
    if (!book.judge('policy', found, entry === undefined ? 'of several peers' : outboundText(entry)))
      return book.dropped(found);
    return this.#withSa(vector, entry as ShadowOutboundSa, book, now);
  }

  /** As `Acquiring.hold`: only a trap makes charon negotiate. */
  #withoutSa(vector: PacketVector, book: TraceBook): Trace {
    const { outbound: sad, lookAlikes } = this.#parts;
    const best = sad.policyFor(vector, 0);
    const policy = best && lookAlikes.previewOutbound(vector, 0, best);
    if (policy !== undefined && policy.spi === undefined) {
      const why = 'a policy without an SA: charon is asked for one, and the packet waits for 4 s';
      return book.end('sa', { kind: 'wait' }, why);
    }
    book.judge('sa', NO_SA, 'the policy has no SA that can be used here');
    return book.dropped(NO_SA);
  }

  #inClear(vector: PacketVector, book: TraceBook): Trace {
    if (this.#parts.clear.outbound(vector, 0))
      return book.end(
        'policy',
        { kind: 'apart' },
        'no policy; clear text is distributed: it answers if it may',
      );
    book.judge('policy', NO_POLICY, 'no policy is about it');
    return book.dropped(NO_POLICY);
  }

  #withSa(vector: PacketVector, entry: ShadowOutboundSa, book: TraceBook, now: number): Trace {
    const { resets, opened } = this.#parts;
    const withheld = resets.check(vector, 0, entry.sa.group);
    if (!book.judge('resets', withheld, 'may the kernel reset it')) return book.dropped(withheld);
    const flow = opened.preview(vector, 0, entry.sa.group, now);
    if (flow === ELSEWHERE)
      return book.end('flow', { kind: 'wait' }, 'this host opens the flow: the routing host is asked first');
    if (!book.judge('flow', flow === ASK_AGAIN ? KEEP : flow, 'source port')) return book.dropped(flow);
    switch (fitOf(vector, 0, entry, false)) {
      case 'reassemble':
        return book.end('fit', { kind: 'wait' }, 'transport mode: the fragments are put together first');
      case 'too-long':
      case 'refuse':
        book.judge('fit', TOO_BIG, `${vector.length[0]} bytes, ${entry.fit.innerBytes} fit`);
        return book.dropped(TOO_BIG);
      case 'cut':
        book.pass('fit', `${vector.length[0]} bytes: cut into pieces of ${entry.fit.innerBytes}`);
        break;
      case 'fits':
        book.pass('fit', `${vector.length[0]} bytes, ${entry.fit.innerBytes} fit`);
        break;
    }
    return this.#numbered(vector, entry, book, now);
  }

  #numbered(vector: PacketVector, entry: ShadowOutboundSa, book: TraceBook, now: number): Trace {
    const number = entry.holder.preview(1, now);
    if (number === TAKE_WAIT)
      return book.end('number', { kind: 'wait' }, 'no lease: asked for, and the packet waits for 500 ms');
    if (number === TAKE_FUNNEL)
      return book.end('number', { kind: 'funnel' }, 'several targets send: the routing host seals it');
    const refused = this.#refused(vector, entry, number);
    if (refused !== KEEP) {
      book.judge('number', refused, number === TAKE_STAMP ? 'to be stamped' : `number ${number}`);
      return book.dropped(refused);
    }
    if (number === TAKE_STAMP)
      return book.end('number', { kind: 'stamp' }, 'sealed here; the routing host stamps the number');
    return book.end('number', { kind: 'send' }, `number ${number}: sealed here, straight to the peer`);
  }

  #refused(vector: PacketVector, entry: ShadowOutboundSa, number: number): Verdict {
    if (number === TAKE_STAMP) {
      if (entry.stamp === undefined || entry.stamp.epoch !== this.#parts.epoch()) return NO_NUMBER;
    } else if (entry.dvipa.returnVia === 'router') return RETURN_ROUTER;
    if (entry.iv === undefined || entry.iv.isSpent) return NO_NUMBER;
    return entry.meter.covers(1, vector.length[0] as number) ? KEEP : HARD_LIMIT;
  }
}

function saText({ sa, window }: ShadowInboundSa): string {
  return `SPI ${formatSpi(sa.spi)}, ${sa.mode}, group ${sa.group}, highest number ${window.top}`;
}

function outboundText({ sa }: ShadowOutboundSa): string {
  return `SPI ${formatSpi(sa.spi)} to ${sa.outer.destination}, group ${sa.group}`;
}
