import { z } from 'zod';
import type { Distributor } from '../../connections/distributor.ts';
import type { DrainSnapshot } from '../../observe/operator-snapshots.ts';
import { addressArgument, type GivenArguments, hostArgument, parseArguments } from '../admin-arguments.ts';
import type { DrainedTargets } from './drained-targets.ts';
import type { DvipaService } from './dvipa-service.ts';
import type { Cluster, TargetPeer } from './target-peers.ts';

const schema = z.strictObject({ target: hostArgument, dvipa: addressArgument.optional() });

export interface DrainParts {
  readonly cluster: Cluster;
  readonly host: { readonly drains: DrainedTargets; readonly distributor: Distributor };
}

/** The admin commands `drain` and `undrain`. Throws an Error that says what is wrong with the arguments. */
export async function drainCommand(
  parts: DrainParts,
  given: GivenArguments,
  isDrained: boolean,
): Promise<DrainSnapshot> {
  const { cluster, host } = parts;
  const { target, dvipa } = parseArguments(schema, given);
  const peer = cluster.peer(target);
  if (peer === undefined) {
    const names = cluster.peers.map((each) => each.host).join(', ');
    throw new Error(`no target is named ${JSON.stringify(target)}, expected one of ${names}`);
  }
  const services = dvipa === undefined ? peer.services : [servicesOf(peer, dvipa)];
  const isStored = await host.drains.set(peer, services, isDrained);
  return {
    target: peer.host,
    draining: host.drains.drainingOf(peer),
    maintenance: host.drains.isInMaintenance(peer),
    isStored,
    unserved: peer.services
      .filter(({ address }) => host.distributor.targetsOf(address).length === 0)
      .map(({ record }) => record.address),
  };
}

function servicesOf({ services, host }: TargetPeer, dvipa: string): DvipaService {
  const service = services.find(({ record }) => record.address === dvipa);
  if (service !== undefined) return service;
  const served = services.map(({ record }) => record.address).join(', ');
  throw new Error(`${host} does not serve ${dvipa}, expected one of ${served}`);
}
