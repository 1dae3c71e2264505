import type { RouteConfig } from '../../config/index.ts';
import type { ServiceSettings } from '../../connections/service.ts';
import type { DvipaSettings } from '../../connections/services.ts';
import { IP_PROTOCOL } from '../../packet/protocols.ts';

type DvipaConfig = RouteConfig['dvipas'][number];
type Configured = Pick<DvipaConfig, 'distribution' | 'weights' | 'affinity' | 'switchBack' | 'targets'>;

/**
 * How a DVIPA's connections are distributed. `indexes`: targets as the data plane counts them, by host. Blocks of source ports go by
 * their places in `targets`, as after a restart.
 */
export function distributionOf(
  dvipa: DvipaConfig,
  targets: RouteConfig['targets'],
  indexes: ReadonlyMap<string, number>,
): DvipaSettings {
  return {
    ...settingsOf(dvipa, indexes),
    sourcePorts: dvipa.sourcePorts,
    lessees: targets.map(({ host }) => (dvipa.targets.includes(host) ? indexes.get(host) : undefined)),
    services: dvipa.services.map((service) => ({
      ...settingsOf(service, indexes),
      protocol: service.protocol === 'tcp' ? IP_PROTOCOL.TCP : IP_PROTOCOL.UDP,
      port: service.port,
    })),
  };
}

function settingsOf(
  { distribution, weights, affinity, switchBack, targets }: Configured,
  indexes: ReadonlyMap<string, number>,
): ServiceSettings {
  return {
    distribution,
    affinity,
    switchBack,
    targets: targets.flatMap((host) => indexes.get(host) ?? []),
    weights: new Map(
      Object.entries(weights).flatMap(([host, weight]) => {
        const index = indexes.get(host);
        return index === undefined ? [] : [[index, weight] as const];
      }),
    ),
  };
}
