import ipaddr from 'ipaddr.js';
import type { FilterRule as ConfiguredRule } from '../config/index.ts';
import type { FilterRuleRecord } from '../coupling/records.ts';
import { type FilterRule, InboundFilter } from '../dataplane/inbound-filter.ts';
import { type IpAddress, newAddress } from '../packet/address.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { addressOf } from './sa-settings.ts';

/** What an IPv4 address has in front of it as four words (`packet/address.ts`). */
const MAPPED_PREFIX_BITS = 96;

const PROTOCOLS = {
  any: 0,
  icmp: IP_PROTOCOL.ICMP,
  icmpv6: IP_PROTOCOL.ICMPV6,
  tcp: IP_PROTOCOL.TCP,
  udp: IP_PROTOCOL.UDP,
} as const;

/** The rules of a configuration as they go to the targets. */
export function ruleRecords(rules: readonly ConfiguredRule[]): FilterRuleRecord[] {
  return rules.map(({ action, protocol, ports, sourcePorts, source }) => ({
    action,
    protocol,
    fromPort: ports.from,
    toPort: ports.to,
    ...(sourcePorts && { sourcePorts }),
    ...(source !== undefined && { source }),
  }));
}

/** The filter that both hosts run, from the same rules. */
export function inboundFilterOf(rules: readonly FilterRuleRecord[]): InboundFilter {
  return new InboundFilter(rules.map(compile));
}

function compile(rule: FilterRuleRecord): FilterRule {
  const { action, protocol: named, fromPort, toPort, sourcePorts, source } = rule;
  const protocol = typeof named === 'number' ? named : PROTOCOLS[named];
  return { action, protocol, fromPort, toPort, sourcePorts, source: networkOf(source) };
}

/** A network in CIDR notation, ready for comparing; undefined: any. */
export function networkOf(source: string | undefined): FilterRule['source'] {
  if (source === undefined) return undefined;
  const [address, bits] = ipaddr.parseCIDR(source);
  const mask = maskOf(address.kind() === 'ipv4' ? bits + MAPPED_PREFIX_BITS : bits);
  return { network: addressOf(address.toString()).map((word, at) => word & (mask[at] as number)), mask };
}

/** Ones from the left, in four words. */
function maskOf(bits: number): IpAddress {
  return newAddress().map((_, word) => {
    const ones = Math.min(32, Math.max(0, bits - word * 32));
    return ones === 0 ? 0 : 0xffff_ffff << (32 - ones);
  });
}
