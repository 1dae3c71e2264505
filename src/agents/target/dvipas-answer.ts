import type { FlowTracker } from '../../connections/flow-tracker.ts';
import type { DvipaDetails } from '../../observe/dvipa-snapshot.ts';
import type { CouplingState } from '../../observe/snapshots.ts';
import { equalAddresses } from '../../packet/address.ts';
import { addressOf } from '../sa-settings.ts';
import type { ShadowCache } from './shadow-cache.ts';
import type { ListeningSource } from './target-listeners.ts';
import type { TargetMaintenance } from './target-maintenance.ts';

export interface DvipaParts {
  readonly cache: ShadowCache;
  readonly flows: FlowTracker;
  readonly maintenance: TargetMaintenance;
  readonly listening: ListeningSource;
  readonly host: string;
  readonly state: CouplingState;
}

/** DVIPAs that the routing host gave this target, with this host's part in each. */
export function dvipasAnswer({
  cache,
  flows,
  maintenance,
  listening,
  host,
  state,
}: DvipaParts): DvipaDetails[] {
  const sas = [...cache.inbound.values(), ...cache.outbound.values()].map(({ sa }) => sa.dvipa);
  return cache.dvipas.map((record) => {
    const address = addressOf(record.address);
    let connections = 0;
    for (const { dvipa } of flows.flows()) connections += Number(equalAddresses(dvipa, 0, address, 0));
    const { sourcePorts } = record;
    return {
      address: record.address,
      endpoints: record.endpoints,
      inboundFilter: record.filterMode,
      clearText: record.clearText,
      returnVia: record.returnVia,
      sourcePorts: sourcePorts && { from: sourcePorts.from, to: sourcePorts.to },
      sas: sas.filter((dvipa) => dvipa === record.address).length,
      targets: [
        {
          host,
          state,
          isDraining: maintenance.isOn,
          connections,
          sourcePorts: sourcePorts?.leased,
          listeners: listening.portsOf(record.address),
        },
      ],
    };
  });
}
