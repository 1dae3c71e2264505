import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';
import { listSections } from './stream.ts';

/** A policy that stands without an SA: a trap (brings the SA up), a pass or a drop. */
export interface Policy {
  /** `ike/child`. */
  readonly name: string;
  readonly child: string;
  /** Configuration, or namespace, that it belongs to. */
  readonly ike: string | undefined;
  /** e.g. TUNNEL, TRANSPORT, PASS, DROP. */
  readonly mode: string;
  /** Of traps, from 6.0 on. */
  readonly reqid: number | undefined;
  /** Security label, hex. */
  readonly label: string | undefined;
  readonly localSelectors: readonly string[];
  readonly remoteSelectors: readonly string[];
  /** The section as it came. */
  readonly message: ViciMessage;
}

export interface ListPoliciesFilter {
  /** Default: all three. */
  readonly kinds?: readonly ('trap' | 'pass' | 'drop')[];
  readonly child?: string;
  readonly ike?: string;
}

/** The trap, pass and drop policies that are installed. */
export function listPolicies(
  requester: Requester,
  filter: ListPoliciesFilter = {},
  options?: CallOptions,
): Promise<Policy[]> {
  const kinds = (filter.kinds ?? ['trap', 'pass', 'drop']).map((kind) => [kind, true]);
  const request = { ...Object.fromEntries(kinds), child: filter.child, ike: filter.ike };
  const list = { command: 'list-policies', event: 'list-policy', request, options };
  return listSections(requester, list, parsePolicy);
}

/** Parses one section of an event `list-policy`. Throws ViciError `invalid`. */
export function parsePolicy(name: string, section: ViciMessage): Policy {
  const fields = new Fields(section, 'policy');
  return {
    name,
    child: fields.text('child'),
    ike: section.text('ike'),
    mode: fields.text('mode'),
    reqid: fields.optionalNumber('reqid', 0xffffffff),
    label: section.text('label'),
    localSelectors: fields.list('local-ts'),
    remoteSelectors: fields.list('remote-ts'),
    message: section,
  };
}
