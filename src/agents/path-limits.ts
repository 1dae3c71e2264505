import { interfaceMtu } from '../io/interface-mtu.ts';
import type { PathLimits } from '../ipsec/path-fit.ts';

const IP_PACKET_MAX_BYTES = 65_535;

/** What fits on this host's links: of the outside one what its interface says, of the cluster's what the configuration does. */
export async function pathLimits(outsideInterface: string, clusterMtu: number): Promise<PathLimits> {
  return {
    outside: Math.min(await interfaceMtu(outsideInterface), IP_PACKET_MAX_BYTES),
    cluster: clusterMtu,
  };
}
