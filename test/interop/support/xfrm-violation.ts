import type { Cluster } from './cluster.ts';
import type { Child, RoadWarrior } from './road-warrior.ts';

/** TCP to a port of the DVIPA, sealed under the SA of a CHILD_SA that is for other traffic. */
export interface Violation {
  readonly child: Child;
  readonly port: number;
  /** From its own virtual address, or from another client's. */
  readonly from: 'own' | 'other';
}

/** The client's port. */
export const VIOLATION_PORT = 40_404;

/**
 * Gives a client's kernel a policy of its own making, before those of charon, with the SA of a CHILD_SA. Returns what takes
 * it away again.
 */
export async function sealWrongly(
  { host, inner4, outsideAddress }: RoadWarrior,
  { dvipa, lab }: Cluster,
  { child, port, from, theirs }: Violation & { readonly theirs: string },
): Promise<() => Promise<void>> {
  const policies = await host.must(['ip', 'xfrm', 'policy', 'list', 'dir', 'out']);
  const selector = child === 'ping' ? 'proto icmp' : 'proto tcp dport 80';
  const pattern = new RegExp(`src ${inner4}/32 dst ${dvipa}/32 ${selector} \\n[^]*?reqid (\\d+)`);
  const reqid = pattern.exec(policies)?.[1];
  if (reqid === undefined) throw new Error(`no policy of ${child} in ${policies}`);
  const source = ['src', from === 'own' ? inner4 : theirs, 'dst', dvipa];
  const policy = ['dir', 'out', ...source, 'proto', 'tcp'];
  // A source port, so that charon's own policies stay as they are.
  policy.push('sport', String(VIOLATION_PORT), 'dport', String(port));
  const template = ['src', outsideAddress, 'dst', lab.scenario.endpoint, 'proto', 'esp', 'reqid', reqid];
  const how = ['priority', '1', 'tmpl', ...template, 'mode', 'tunnel'];
  await host.must(['ip', 'xfrm', 'policy', 'add', ...policy, ...how]);
  if (from === 'other') await host.must(['ip', 'addr', 'add', `${theirs}/32`, 'dev', 'lo']);
  return async () => {
    await host.must(['ip', 'xfrm', 'policy', 'del', ...policy]);
    if (from === 'other') await host.must(['ip', 'addr', 'del', `${theirs}/32`, 'dev', 'lo']);
  };
}
