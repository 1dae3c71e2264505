import { KEEP, OPEN_HERE, type Verdict, verdictOf } from '../../base/verdict.ts';
import { formatSpi } from '../../ipsec/sa.ts';
import type { Peeker } from '../../ipsec/peek.ts';
import { IP_PROTOCOL } from '../../packet/protocols.ts';
import { type ClusterAddresses, classify } from '../classify.ts';
import type { ClearRouting } from '../clear-routing.ts';
import type { InboundSad } from '../inbound-sad.ts';
import { readInnerHeaders } from '../inner-headers.ts';
import type { RoutingInboundSa } from '../routing-sa.ts';
import { checkPeeked, findInbound, isFilteredHere, isOpenedFirst } from '../routing-steps.ts';
import { AWAITS_FIRST_FRAGMENT, type TargetChoice } from '../target-choice.ts';
import { LARGE_SLOT_BYTES, PacketVector } from '../vector.ts';
import { innerText, outerText } from './inner-text.ts';
import { type Trace, TraceBook, type TracedPacket } from './trace-steps.ts';

const CLEAR = verdictOf('clear');
const NOT_ESP = verdictOf('not-esp');
const FRAGMENT = verdictOf('fragment');
const UNKNOWN_SPI = verdictOf('unknown-spi');
const SA_NOT_SERVING = verdictOf('sa-not-serving');
const NO_TARGET = verdictOf('no-target');
const FILTER = verdictOf('filter');
const REPLAY = verdictOf('replay');

export interface RoutingTraceParts<Sa extends RoutingInboundSa> {
  readonly sad: InboundSad<Sa>;
  readonly addresses: ClusterAddresses;
  readonly peek: Peeker;
  readonly choice: TargetChoice;
  readonly clear: Pick<ClearRouting, 'preview'>;
  readonly nameOf: (target: number) => string;
}

/**
 * What the routing host's way in (`routing-inbound.ts`) would do with a packet now, step by step, by the same decisions; nothing is
 * held, noted, counted or sent. What it ends with may come otherwise: between a trace and a packet the state goes on.
 */
export class RoutingTrace<Sa extends RoutingInboundSa> {
  readonly #parts: RoutingTraceParts<Sa>;
  readonly #vector = new PacketVector(1, LARGE_SLOT_BYTES);

  constructor(parts: RoutingTraceParts<Sa>) {
    this.#parts = parts;
  }

  run(packet: TracedPacket, now: number): Trace {
    const vector = this.#vector;
    vector.reset();
    vector.push(packet.bytes);
    const book = new TraceBook();
    try {
      return packet.isInner ? this.#inner(vector, packet.spi, book, now) : this.#outer(vector, book, now);
    } finally {
      vector.packet(0).fill(0);
      vector.reset();
    }
  }

  #outer(vector: PacketVector, book: TraceBook, now: number): Trace {
    const { addresses, sad, peek } = this.#parts;
    classify(vector, addresses);
    const classified = vector.verdict[0] as Verdict;
    if (classified === CLEAR || classified === NOT_ESP) return this.#notEsp(vector, classified, book, now);
    if (classified === FRAGMENT)
      return book.end(
        'classify',
        { kind: 'wait' },
        'an outer fragment: waits for the others of its datagram',
      );
    if (!book.judge('classify', classified, 'is it ESP to an endpoint')) return book.dropped(classified);
    const spi = formatSpi(vector.spi[0] as number);
    book.pass('outer', `${outerText(vector, 0)}, SPI ${spi}, number ${vector.sequenceLow[0]}`);

    const found = findInbound(vector, 0, sad, addresses);
    if (found === UNKNOWN_SPI)
      return book.end('sa', { kind: 'wait' }, 'no such SA: waits 300 ms for it, then unknown-spi');
    if (found === SA_NOT_SERVING)
      return book.end('sa', { kind: 'wait' }, 'no target serves it yet: waits 300 ms, then sa-not-serving');
    if (found !== KEEP && found !== REPLAY) {
      book.judge('sa', found, `SPI ${spi}, from an address of the cluster itself`);
      return book.dropped(found);
    }
    const entry = sad.at(vector.saSlot[0] as number) as Sa;
    book.pass('sa', saText(entry));
    const top = `highest reported number ${entry.owners.top}`;
    if (!book.judge('replay', found, top)) return book.dropped(found);

    peek.peek(vector);
    const peeked = vector.verdict[0] as Verdict;
    const seen = peeked === KEEP ? innerText(vector, 0) : 'the inner header, not authenticated';
    if (!book.judge('peek', peeked, seen)) return book.dropped(peeked);
    return this.#checked(vector, entry, book, now);
  }

  /** An inner packet in place of what the peek would show of it. */
  #inner(vector: PacketVector, spi: number | undefined, book: TraceBook, now: number): Trace {
    const { sad } = this.#parts;
    const bad = readInnerHeaders(vector, 0);
    if (!book.judge('inner', bad, bad === KEEP ? innerText(vector, 0) : 'its headers'))
      return book.dropped(bad);
    const entries = [...sad.values()];
    const entry =
      spi === undefined ? entries.findLast((each) => checkPeeked(vector, 0, each) === KEEP) : sad.bySpi(spi);
    if (entry === undefined) {
      const words = spi === undefined ? 'no SA has selectors that fit' : `no SA with SPI ${formatSpi(spi)}`;
      const reason = spi === undefined ? 'tunnel-check' : 'unknown-spi';
      return book.end('sa', { kind: 'drop', reason }, words);
    }
    book.pass('sa', saText(entry));
    const next = entry.owners.top + 1n;
    vector.saSlot[0] = entry.slot;
    vector.sequenceHigh[0] = Number(next >> 32n);
    vector.sequenceLow[0] = Number(next & 0xffff_ffffn);
    const isServed = entry.serving.size > 0 || entry.isFallbackReady;
    if (!isServed || entry.isWaitingForWindows)
      return book.end('sa', { kind: 'wait' }, 'no target serves it yet: waits 300 ms, then sa-not-serving');
    return this.#checked(vector, entry, book, now);
  }

  #checked(vector: PacketVector, entry: Sa, book: TraceBook, now: number): Trace {
    const refused = checkPeeked(vector, 0, entry);
    if (!book.judge('tunnel-check', refused, 'destination, and the selectors of the SA'))
      return book.dropped(refused);
    if (isFilteredHere(vector, 0, entry)) {
      const { rule, isPermitted } = entry.dvipa.filter.preview(vector, 0, false);
      const verdict = isPermitted ? KEEP : FILTER;
      if (!book.judge('filter', verdict, ruleText(rule, entry.dvipa.filter.rules.length)))
        return book.dropped(verdict);
    } else book.pass('filter', 'not on this host');
    return this.#distributed(vector, entry, book, now);
  }

  #distributed(vector: PacketVector, entry: Sa, book: TraceBook, now: number): Trace {
    const { choice, nameOf } = this.#parts;
    const isAttacked = entry.suspicion.isRaised(now);
    if (isAttacked && isOpenedFirst(vector, 0, entry, choice)) {
      const why = 'packets of the SA are forged in masses, and no target has confirmed the connection';
      return book.end('connection', { kind: 'open-here' }, why);
    }
    const isConfirmed = choice.isConfirmed(vector, 0, entry);
    const target = choice.preview(vector, 0, entry, now, !isAttacked);
    if (target === AWAITS_FIRST_FRAGMENT)
      return book.end('connection', { kind: 'wait' }, 'waits 100 ms for the first fragment of its datagram');
    if (target < 0) {
      book.judge('connection', NO_TARGET, 'no target for it');
      return book.dropped(NO_TARGET);
    }
    const name = nameOf(target);
    book.pass(
      'connection',
      `${name}, ${isConfirmed ? 'which has the connection' : 'by table or distribution'}`,
    );
    if (!entry.serving.has(target)) {
      return entry.isFallbackReady
        ? book.end('sa', { kind: 'open-here' }, `${name} does not serve the SA: opened here in its place`)
        : book.end('sa', { kind: 'wait' }, `${name} does not serve the SA yet: waits 300 ms`);
    }
    const [high, low] = [vector.sequenceHigh[0] as number, vector.sequenceLow[0] as number];
    const owned = entry.owners.preview(high, low, target);
    if (owned === OPEN_HERE) {
      const why = 'the number may be another packet’s: opened here, within the budget';
      return book.end('number', { kind: 'open-here' }, why);
    }
    if (!book.judge('number', owned, `may go to ${name}`)) return book.dropped(owned);
    return book.end('dispatch', { kind: 'dispatch', target, isClear: false }, `to ${name}, still encrypted`);
  }

  #notEsp(vector: PacketVector, verdict: Verdict, book: TraceBook, now: number): Trace {
    if (isMessage(vector))
      return book.end(
        'classify',
        { kind: 'apart' },
        'ICMP: if it is about a path MTU, it is heard (docs/mtu.md)',
      );
    if (verdict !== CLEAR) {
      book.judge('classify', verdict, 'to an endpoint, and neither ESP nor IKE');
      return book.dropped(verdict);
    }
    book.pass('classify', 'in clear');
    const way = this.#parts.clear.preview(vector, 0, now);
    if ('refused' in way) {
      book.judge('clear', way.refused, 'clear_text, rules and policies of the DVIPA');
      return book.dropped(way.refused);
    }
    const { target } = way;
    const detail = `permitted in clear; to ${this.#parts.nameOf(target)}, sealed on the link`;
    return book.end('clear', { kind: 'dispatch', target, isClear: true }, detail);
  }
}

/** The outer packet is ICMP, which `PathMtuMessages` looks at. */
function isMessage(vector: PacketVector): boolean {
  const at = vector.outerOffset[0] as number;
  const isIpv6 = vector.slab.readUInt8(at) >> 4 === 6;
  const protocol = vector.slab.readUInt8(at + (isIpv6 ? 6 : 9));
  return protocol === (isIpv6 ? IP_PROTOCOL.ICMPV6 : IP_PROTOCOL.ICMP);
}

function saText({ sa, serving }: RoutingInboundSa): string {
  return `SPI ${formatSpi(sa.spi)}, ${sa.mode}, group ${sa.group}, served by ${serving.size} targets`;
}

/** The rule that decides, in words. */
export function ruleText(rule: number, rules: number): string {
  if (rules === 0) return 'no rules';
  return rule === rules ? 'no rule matches' : `rule ${rule + 1} of ${rules}`;
}
