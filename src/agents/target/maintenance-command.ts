import { z } from 'zod';
import type { FlowTracker } from '../../connections/flow-tracker.ts';
import type { MaintenanceSnapshot } from '../../observe/operator-snapshots.ts';
import { type GivenArguments, parseArguments } from '../admin-arguments.ts';
import type { TargetMaintenance } from './target-maintenance.ts';

const schema = z.strictObject({ action: z.enum(['on', 'off', 'status']) });

export interface MaintenanceParts {
  readonly maintenance: TargetMaintenance;
  readonly flows: FlowTracker;
  readonly host: string;
}

/** The admin command `maintenance` of a target. */
export function maintenanceCommand(
  { maintenance, flows, host }: MaintenanceParts,
  given: GivenArguments,
): MaintenanceSnapshot {
  const { action } = parseArguments(schema, given);
  if (action !== 'status') maintenance.set(action === 'on');
  const { isOn, isReported } = maintenance;
  let connections = 0;
  for (const _ of flows.flows()) connections++;
  return { host, isOn, isReported, connections };
}
