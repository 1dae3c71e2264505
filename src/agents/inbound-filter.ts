import ipaddr from 'ipaddr.js';
import type { FilterRule as ConfiguredRule } from '../config/index.ts';
import type { FilterRuleRecord } from '../coupling/records.ts';
import { type FilterRule, InboundFilter } from '../dataplane/inbound-filter.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { addressNumber } from './sa-settings.ts';

const PROTOCOLS = { any: 0, icmp: IP_PROTOCOL.ICMP, tcp: IP_PROTOCOL.TCP, udp: IP_PROTOCOL.UDP } as const;

/** The rules of a configuration as they go to the targets. */
export function ruleRecords(rules: readonly ConfiguredRule[]): FilterRuleRecord[] {
  return rules.map(({ action, protocol, ports, source }) => {
    // No record has it yet.
    if (protocol === 'icmpv6') throw new RangeError('a filter rule for icmpv6 is not supported yet');
    const port = { fromPort: ports.from, toPort: ports.to };
    return { action, protocol, ...port, ...(source === undefined ? {} : { source }) };
  });
}

/** The filter that both hosts run, from the same rules. */
export function inboundFilterOf(rules: readonly FilterRuleRecord[]): InboundFilter {
  return new InboundFilter(rules.map(compile));
}

function compile(rule: FilterRuleRecord): FilterRule {
  const { action, fromPort, toPort } = rule;
  return { action, protocol: PROTOCOLS[rule.protocol], fromPort, toPort, ...networkOf(rule.source) };
}

function networkOf(source: string | undefined): { sourceNetwork: number; sourceMask: number } {
  if (source === undefined) return { sourceNetwork: 0, sourceMask: 0 };
  const [address, bits] = ipaddr.parseCIDR(source);
  const mask = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
  return { sourceNetwork: (addressNumber(address.toString()) & mask) >>> 0, sourceMask: mask };
}
