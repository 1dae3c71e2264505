import type { z } from 'zod';
import { parseAddress } from '../packet/address.ts';
import { refuseDistribution } from './distribution.ts';
import { familyOfText } from './fields.ts';
import type { RouteFile } from './route-file.ts';
import { refuseRepeats } from './shared.ts';
import { refuseSourcePorts } from './source-ports.ts';

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
    refuseEndpoints(entry.endpoint, index, dvipas, context);
    refuseFamilies(entry, index, context);
    refuseDistribution(entry, ['dvipas', index], context);
    refuseSourcePorts(file, index, context);
    const permits = entry.rules?.some(({ action }) => action === 'permit') === true;
    if (entry.clear_text === 'distribute' && !permits) {
      refuse(['dvipas', index, 'clear_text'], 'has no effect, expected a rule that permits something');
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

/** `endpoint` is an address or a list of them, and has its place accordingly. */
function refuseEndpoints(
  endpoint: string | string[] | undefined,
  index: number,
  dvipas: ReadonlyMap<string, number>,
  context: z.core.$RefinementCtx,
): void {
  if (endpoint === undefined) return;
  const pathOf = (at: number) => ['dvipas', index, 'endpoint', ...(Array.isArray(endpoint) ? [at] : [])];
  const addresses = [endpoint].flat();
  refuseRepeats(addresses, (address) => address, pathOf, context);
  for (const [at, address] of addresses.entries()) {
    const other = dvipas.get(address) ?? index;
    if (other === index) continue;
    const message = `is DVIPA number ${other}, expected an address of its own`;
    context.addIssue({ code: 'custom', path: pathOf(at), message });
  }
}

/** Inner packets have the family of their DVIPA: a rule for the other one would never fit. */
function refuseFamilies(
  { address, rules }: RouteFile['dvipas'][number],
  index: number,
  context: z.core.$RefinementCtx,
): void {
  // What is no address has been told.
  if (parseAddress(address) === undefined) return;
  const family = familyOfText(address);
  const icmp = family === 'IPv6' ? 'icmpv6' : 'icmp';
  for (const [at, { source, protocol }] of (rules ?? []).entries()) {
    const refuse = (key: string, message: string) => {
      context.addIssue({ code: 'custom', path: ['dvipas', index, 'rules', at, key], message });
    };
    if (source !== undefined && familyOfText(source) !== family) {
      refuse('source', `is of the other family, expected an ${family} network, as the DVIPA is ${family}`);
    }
    if ((protocol === 'icmp' || protocol === 'icmpv6') && protocol !== icmp) {
      refuse('protocol', `is of the other family, expected ${icmp}, as the DVIPA is ${family}`);
    }
  }
}
