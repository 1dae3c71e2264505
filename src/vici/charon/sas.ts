import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { type IkeSa, parseIkeSa } from './ike-sa.ts';
import { listSections } from './stream.ts';

export interface ListSasFilter {
  /** IKE_SAs of this configuration only. */
  readonly ike?: string;
  readonly ikeId?: number;
  readonly child?: string;
  readonly childId?: number;
  /** Leave out IKE_SAs that charon is working on, instead of waiting for them. Default: wait. */
  readonly isNonBlocking?: boolean;
}

/** All IKE_SAs that charon has, with their CHILD_SAs. */
export function listSas(
  requester: Requester,
  filter: ListSasFilter = {},
  options?: CallOptions,
): Promise<IkeSa[]> {
  const request = {
    ike: filter.ike,
    'ike-id': filter.ikeId,
    child: filter.child,
    'child-id': filter.childId,
    noblock: filter.isNonBlocking === true ? true : undefined,
  };
  return listSections(requester, { command: 'list-sas', event: 'list-sa', request, options }, parseIkeSa);
}
