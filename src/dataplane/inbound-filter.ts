import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { FRAGMENT } from '../ipsec/inner-columns.ts';
import { ADDRESS_WORDS, type IpAddress } from '../packet/address.ts';
import { hasPorts } from '../packet/protocols.ts';
import type { PacketVector } from './vector.ts';

const FILTER = verdictOf('filter');
const CLEAR = verdictOf('clear');

/** Where inbound IPsec traffic to a DVIPA is filtered: on the target (bypass) or on the routing host (filter). */
export type FilterMode = 'bypass' | 'filter';

/** `require-ipsec` permits what came through an SA, and refuses the same in clear. */
export type FilterAction = 'permit' | 'deny' | 'require-ipsec';

/** Inclusive. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export interface FilterRule {
  readonly action: FilterAction;
  /** IP protocol; 0 = any. */
  readonly protocol: number;
  /** Inclusive destination port range; 0..65535 = any. A narrower one matches protocols with ports only. */
  readonly fromPort: number;
  readonly toPort: number;
  /** The same of the source; undefined: any. */
  readonly sourcePorts?: PortRange | undefined;
  /** Source network; undefined: any. Of the other family nothing matches: the mask covers the mapped prefix (`packet/address.ts`). */
  readonly source?: { readonly network: IpAddress; readonly mask: IpAddress } | undefined;
}

/** Packets that a rule decided about. */
export interface RuleCount {
  readonly ipsec: number;
  readonly clear: number;
}

/** In place of a port: a later fragment shows none. */
export const UNSEEN_PORT = -1;
/** What a rule says about the ports of a packet. */
const NO_MATCH = 0;
const MATCH = 1;
const UNCERTAIN = 2;

/**
 * The ordered rules of one DVIPA (claims 6 and 7): the first that matches decides. With rules and no match the packet is
 * denied. Without rules IPsec traffic is permitted (the SA's selectors have been checked already), and nothing in clear.
 * A packet that does not show its ports is taken for whatever is refused: a rule for some ports that would permit it is passed
 * over, one that would refuse it applies.
 */
export class InboundFilter {
  readonly rules: readonly FilterRule[];
  /** Two for each rule, then two for packets that none matched: through an SA, in clear. */
  readonly #counts: Float64Array;

  constructor(rules: readonly FilterRule[]) {
    this.rules = rules;
    this.#counts = new Float64Array(2 * (rules.length + 1));
  }

  /** The words of the source begin at `at`. Counts nothing. */
  permits(
    protocol: number,
    sources: Uint32Array,
    at: number,
    sourcePort: number,
    destinationPort: number,
    isClear: boolean,
  ): boolean {
    return this.#allows(this.#find(protocol, sources, at, sourcePort, destinationPort, isClear), isClear);
  }

  /** The verdict for packet `i` of an SA, by its inner headers (peeked or opened): `filter` if it is refused. Counts it. */
  verdict(vector: PacketVector, i: number): Verdict {
    return this.#decide(vector, i, false) ? KEEP : FILTER;
  }

  /** The same for a packet that came in clear: `clear` if it is refused. */
  clearVerdict(vector: PacketVector, i: number): Verdict {
    return this.#decide(vector, i, true) ? KEEP : CLEAR;
  }

  /**
   * Number of the rule that decides about packet `i`, and whether it is permitted; `rules.length`: no rule matches. Counts
   * nothing.
   */
  preview(vector: PacketVector, i: number, isClear: boolean): { rule: number; isPermitted: boolean } {
    const rule = this.#ruleOf(vector, i, isClear);
    return { rule, isPermitted: this.#allows(rule, isClear) };
  }

  /** Packets that rule number `rule` decided about; `rules.length`: those that no rule matched. */
  countOf(rule: number): RuleCount {
    return { ipsec: this.#counts[2 * rule] ?? 0, clear: this.#counts[2 * rule + 1] ?? 0 };
  }

  #decide(vector: PacketVector, i: number, isClear: boolean): boolean {
    const rule = this.#ruleOf(vector, i, isClear);
    const counter = 2 * rule + (isClear ? 1 : 0);
    this.#counts[counter] = (this.#counts[counter] as number) + 1;
    return this.#allows(rule, isClear);
  }

  #ruleOf(vector: PacketVector, i: number, isClear: boolean): number {
    const isUnseen = vector.fragment[i] === FRAGMENT.LATER;
    return this.#find(
      vector.protocol[i] as number,
      vector.innerSource,
      i * ADDRESS_WORDS,
      isUnseen ? UNSEEN_PORT : (vector.sourcePort[i] as number),
      isUnseen ? UNSEEN_PORT : (vector.destinationPort[i] as number),
      isClear,
    );
  }

  /** Number of the rule that decides; `rules.length`: none. */
  #find(
    protocol: number,
    sources: Uint32Array,
    at: number,
    sourcePort: number,
    destinationPort: number,
    isClear: boolean,
  ): number {
    const { rules } = this;
    for (let number = 0; number < rules.length; number++) {
      const rule = rules[number] as FilterRule;
      if (rule.protocol !== 0 && rule.protocol !== protocol) continue;
      if (!isInNetwork(rule, sources, at)) continue;
      const ports = matchPorts(rule, protocol, sourcePort, destinationPort);
      if (ports === MATCH) return number;
      if (ports === UNCERTAIN && !isAllowedBy(rule, isClear)) return number;
    }
    return rules.length;
  }

  #allows(number: number, isClear: boolean): boolean {
    const rule = this.rules[number];
    return rule === undefined ? this.rules.length === 0 && !isClear : isAllowedBy(rule, isClear);
  }
}

function isAllowedBy({ action }: FilterRule, isClear: boolean): boolean {
  return action === 'permit' || (action === 'require-ipsec' && !isClear);
}

function isInNetwork({ source }: FilterRule, words: Uint32Array, at: number): boolean {
  if (source === undefined) return true;
  for (let word = 0; word < ADDRESS_WORDS; word++) {
    const masked = (words[at + word] as number) & (source.mask[word] as number);
    if (masked >>> 0 !== source.network[word]) return false;
  }
  return true;
}

/** What stands for the port of ICMP is type and code: no rule means those. */
function matchPorts(
  { fromPort, toPort, sourcePorts }: FilterRule,
  protocol: number,
  sourcePort: number,
  destinationPort: number,
): number {
  const isAnySource = sourcePorts === undefined || (sourcePorts.from === 0 && sourcePorts.to === 0xffff);
  const isAnyDestination = fromPort === 0 && toPort === 0xffff;
  if (isAnySource && isAnyDestination) return MATCH;
  if (!hasPorts(protocol)) return NO_MATCH;
  if (sourcePort === UNSEEN_PORT || destinationPort === UNSEEN_PORT) return UNCERTAIN;
  if (!isAnySource && (sourcePort < sourcePorts.from || sourcePort > sourcePorts.to)) return NO_MATCH;
  return fromPort <= destinationPort && destinationPort <= toPort ? MATCH : NO_MATCH;
}
