import type { z } from 'zod';
import type { RouteFile } from './route-file.ts';
import { refuseRepeats } from './shared.ts';

/** What each value allows by itself, but not together. */
export function refuseContradictions(file: RouteFile, context: z.core.$RefinementCtx): void {
  const refuse = (path: (string | number)[], message: string) => {
    context.addIssue({ code: 'custom', path, message });
  };
  refuseRepeats(
    file.dvipas,
    (entry) => entry.address,
    (at) => ['dvipas', at, 'address'],
    context,
  );
  refuseRepeats(
    file.targets,
    (entry) => entry.host,
    (at) => ['targets', at, 'host'],
    context,
  );
  refuseRepeats(
    file.targets,
    (entry) => entry.address,
    (at) => ['targets', at, 'address'],
    context,
  );

  const declared = file.targets.map((target) => target.host);
  const dvipas = new Map(file.dvipas.map((entry, index) => [entry.address, index]));
  const endpoints = new Set(file.dvipas.flatMap((entry) => entry.endpoint ?? []));
  const isTaken = (address: string) => dvipas.has(address) || endpoints.has(address);

  for (const [index, entry] of file.dvipas.entries()) {
    refuseRepeats(
      entry.targets,
      (host) => host,
      (at) => ['dvipas', index, 'targets', at],
      context,
    );
    for (const [at, host] of entry.targets.entries()) {
      if (declared.includes(host)) continue;
      refuse(['dvipas', index, 'targets', at], `is not declared, expected one of ${declared.join(', ')}`);
    }
    const other = entry.endpoint === undefined ? index : (dvipas.get(entry.endpoint) ?? index);
    if (other !== index) {
      refuse(['dvipas', index, 'endpoint'], `is DVIPA number ${other}, expected an address of its own`);
    }
  }
  if (isTaken(file.cluster.address)) {
    refuse(['cluster', 'address'], 'is a DVIPA or an endpoint, expected an address of the cluster network');
  }
  for (const [index, target] of file.targets.entries()) {
    const path = ['targets', index, 'address'];
    if (target.address === file.cluster.address) refuse(path, "is this host's own, expected the target's");
    if (isTaken(target.address)) refuse(path, 'is a DVIPA or an endpoint, expected a cluster address');
    if (target.host === file.host)
      refuse(['targets', index, 'host'], "is this host's name, expected a target's");
  }
}
