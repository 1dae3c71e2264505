import { isDeepStrictEqual } from 'node:util';
import type { DvipaConfig } from '../../config/index.ts';
import type { DvipaSettings } from '../../connections/services.ts';
import type { DvipaRecord } from '../../coupling/records.ts';
import type { RoutedDvipa } from '../../dataplane/routing-sa.ts';
import { inboundFilterOf, ruleRecords } from '../inbound-filter.ts';
import { addressOf } from '../sa-settings.ts';

/**
 * A DVIPA as configured, with what the data plane needs of it. SAs point at the object, so it stays the same one over reloads, and
 * changed settings count for running SAs too (`configure`).
 */
export interface DvipaService extends RoutedDvipa {
  readonly record: DvipaRecord;
  /** Authorised targets, by host name: only they get its SAs. Those that are leaving among them, until they are out. */
  readonly targets: Set<string>;
  /** With the targets' indexes; without those that are leaving. */
  readonly distribution: DvipaSettings;
}

export function newDvipaService(
  config: DvipaConfig,
  distribution: DvipaSettings,
  router: string,
): DvipaService {
  const service = { address: addressOf(config.address), targets: new Set<string>() } as DvipaService;
  configure(service, config, distribution, router);
  return Object.assign(service, { filterMode: config.inboundFilter });
}

/**
 * Settings from now on, all but the authorised targets. True: `filter` is to become `bypass`, which is for the caller to do
 * (`stopFiltering`) once the targets apply the rules.
 */
export function configure(
  service: DvipaService,
  config: DvipaConfig,
  distribution: DvipaSettings,
  router: string,
): boolean {
  const { address, endpoints, inboundFilter: filterMode, clearText, returnVia } = config;
  const rules = ruleRecords(config.rules);
  const isSame = isDeepStrictEqual(service.record?.rules, rules);
  Object.assign(service, {
    // Rules that are the same keep what they have counted.
    ...(!isSame && { filter: inboundFilterOf(rules) }),
    ...(filterMode === 'filter' && { filterMode }),
    distributesClear: clearText === 'distribute',
    returnVia,
    distribution,
    record: { address, endpoints, filterMode, rules, clearText, returnVia, router },
  });
  return service.filterMode !== filterMode;
}

export function stopFiltering(service: DvipaService): void {
  if (service.record.filterMode === 'bypass') Object.assign(service, { filterMode: 'bypass' });
}
