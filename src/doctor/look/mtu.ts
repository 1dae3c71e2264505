import { interfaceMtu } from '../../io/interface-mtu.ts';
import { probePath } from '../../io/path-probe.ts';
import type { Finding } from '../finding.ts';
import { judgeMtu } from '../judge/mtu.ts';
import type { Situation } from './situation.ts';

export async function lookAtMtu({ config }: Situation): Promise<Finding[]> {
  const { cluster, outside } = config;
  const others = config.role === 'route' ? config.targets : [config.router];
  const [clusterMtu, outsideMtu, tunMtu, paths] = await Promise.all([
    mtuOf(cluster.interface),
    mtuOf(outside.interface),
    config.role === 'target' ? mtuOf(config.tun.name) : undefined,
    Promise.all(
      others.map(async ({ host, address }) => ({
        host,
        address,
        fit: await probePath(address, cluster.mtu),
      })),
    ),
  ]);
  return judgeMtu({
    cluster: { interface: cluster.interface, configured: cluster.mtu },
    clusterMtu,
    outside: { interface: outside.interface, mtu: outsideMtu },
    paths,
    tun:
      config.role === 'target'
        ? { name: config.tun.name, configured: config.tun.mtu, present: tunMtu }
        : undefined,
  });
}

function mtuOf(name: string): Promise<number | undefined> {
  return interfaceMtu(name).catch(() => undefined);
}
