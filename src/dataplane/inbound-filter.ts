import { KEEP, verdictOf } from '../base/verdict.ts';
import { ADDRESS_WORDS, type IpAddress } from '../packet/address.ts';
import { hasPorts } from '../packet/protocols.ts';
import type { PacketVector } from './vector.ts';

const FILTER = verdictOf('filter');

/** Where inbound IPsec traffic to a DVIPA is filtered: on the target (bypass) or on the routing host (filter). */
export type FilterMode = 'bypass' | 'filter';

export interface FilterRule {
  readonly action: 'permit' | 'deny';
  /** IP protocol; 0 = any. */
  readonly protocol: number;
  /** Inclusive destination port range; 0..65535 = any. A narrower one matches protocols with ports only. */
  readonly fromPort: number;
  readonly toPort: number;
  /** Source network; undefined: any. Of the other family nothing matches: the mask covers the mapped prefix (`packet/address.ts`). */
  readonly source?: { readonly network: IpAddress; readonly mask: IpAddress } | undefined;
}

/**
 * The ordered rules of one DVIPA (claims 6 and 7): the first that matches decides; with rules and no match the
 * packet is denied, without rules everything is permitted (the SA's selectors have been checked already).
 */
export class InboundFilter {
  readonly rules: readonly FilterRule[];

  constructor(rules: readonly FilterRule[]) {
    this.rules = rules;
  }

  /** The words of the source begin at `at`. */
  permits(protocol: number, sources: Uint32Array, at: number, destinationPort: number): boolean {
    if (this.rules.length === 0) return true;
    for (const rule of this.rules) {
      if (rule.protocol !== 0 && rule.protocol !== protocol) continue;
      if (!matchesPort(rule, protocol, destinationPort)) continue;
      if (!isInNetwork(rule, sources, at)) continue;
      return rule.action === 'permit';
    }
    return false;
  }

  /** The verdict for packet `i`, by its inner headers (peeked or opened). */
  verdict(vector: PacketVector, i: number): number {
    const permitted = this.permits(
      vector.protocol[i] as number,
      vector.innerSource,
      i * ADDRESS_WORDS,
      vector.destinationPort[i] as number,
    );
    return permitted ? KEEP : FILTER;
  }
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
function matchesPort({ fromPort, toPort }: FilterRule, protocol: number, port: number): boolean {
  if (fromPort === 0 && toPort === 0xffff) return true;
  return hasPorts(protocol) && fromPort <= port && port <= toPort;
}
