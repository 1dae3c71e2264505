import type { DvipaRecord, FilterRuleRecord } from '../coupling/records.ts';
import type { FilterMode, InboundFilter } from '../dataplane/inbound-filter.ts';
import type { FilterCounts, FilterRuleSnapshot, FilterSnapshot } from '../observe/snapshots.ts';

/** The filter of a DVIPA as either host tells of it; `hereIn`: the mode in which this host filters what comes through SAs. */
export function filterSnapshot(
  { record, filter }: { readonly record: DvipaRecord; readonly filter: InboundFilter },
  hereIn: FilterMode,
): FilterSnapshot {
  const { address: dvipa, filterMode: inboundFilter, clearText, rules } = record;
  return {
    dvipa,
    inboundFilter,
    clearText,
    filtersHere: inboundFilter === hereIn,
    rules: rules.map((rule, number) => ({ ...ruleSnapshot(rule), ...countsOf(filter, number) })),
    unmatched: { action: rules.length === 0 ? 'permit' : 'deny', ...countsOf(filter, rules.length) },
  };
}

function ruleSnapshot(rule: FilterRuleRecord): Omit<FilterRuleSnapshot, keyof FilterCounts> {
  const { action, protocol, source, sourcePorts, fromPort: from, toPort: to } = rule;
  const isAnyPort = from === 0 && to === 0xffff;
  return {
    action,
    protocol,
    ...(source !== undefined && { source }),
    ...(sourcePorts && { sourcePorts }),
    ...(!isAnyPort && { ports: { from, to } }),
  };
}

function countsOf(filter: InboundFilter, rule: number): FilterCounts {
  const { ipsec: ipsecPackets, clear: clearPackets } = filter.countOf(rule);
  return { ipsecPackets, clearPackets };
}
