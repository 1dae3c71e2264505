import { z } from 'zod';
import { hasPorts } from '../packet/protocols.ts';
import { ROUTE_ADMIN_SOCKET } from './admin-sockets.ts';
import {
  clusterAddress,
  hostAddress,
  hostName,
  integer,
  interfaceName,
  list,
  network,
  object,
  oneOf,
  oneOrMore,
  portRange,
  ruleProtocol,
  socketPath,
} from './fields.ts';
import { adminSection, clusterMtu, clusterPorts, couplingSection, logSection } from './shared.ts';
import { distributionKeys } from './distribution.ts';
import { sourcePorts } from './source-ports.ts';
import { keysExportSection } from './keys-export.ts';

const rule = object({
  action: oneOf('permit', 'deny', 'require-ipsec'),
  protocol: ruleProtocol,
  source: network.optional(),
  source_ports: portRange.optional(),
  ports: portRange.optional(),
}).superRefine((entry, context) => {
  const { protocol } = entry;
  if (protocol === 'tcp' || protocol === 'udp' || (typeof protocol === 'number' && hasPorts(protocol)))
    return;
  for (const key of ['source_ports', 'ports'] as const) {
    if (entry[key] === undefined) continue;
    const message = `ports do not go with protocol ${protocol}, expected tcp or udp`;
    context.addIssue({ code: 'custom', path: [key], message });
  }
});

const ENTRIES = 'expected a power of two from 16 to 1048576';
/** As `ConnectionTable` takes them. */
const tableEntries = z
  .int({ error: ENTRIES })
  .refine((value) => value >= 16 && value <= 1_048_576 && Number.isInteger(Math.log2(value)), {
    error: ENTRIES,
  });

const dvipa = object({
  address: hostAddress,
  endpoint: oneOrMore(hostAddress, 'endpoints', 8).optional(),
  inbound_filter: oneOf('bypass', 'filter'),
  rules: list(rule, 'rules', 256).optional(),
  clear_text: oneOf('reject', 'distribute').default('reject'),
  return: oneOf('direct', 'router').default('direct'),
  ...distributionKeys,
  source_ports: sourcePorts,
  targets: list(hostName, 'target hosts', 32),
});

/** The file's own spelling, before contradictions are looked for. Also read: docs/configuration.md. */
export const routeFile = object({
  role: z.literal('route'),
  host: hostName,
  dvipas: list(dvipa, 'DVIPAs', 64),
  outside: object({ interface: interfaceName }),
  cluster: object({ interface: interfaceName, address: clusterAddress, mtu: clusterMtu, ...clusterPorts }),
  targets: list(object({ host: hostName, address: clusterAddress }), 'targets', 32),
  coupling: couplingSection,
  charon: object({
    vici: socketPath.default('/run/charon.vici'),
    plugin: socketPath.default('/run/charon.dvipa'),
  }).prefault({}),
  connection_table: object({ entries: tableEntries.default(65_536) }).prefault({}),
  lifesize: object({ percentage: integer(1, 50, 'percent').default(10) }).prefault({}),
  // One opening costs about 6 us of CPU: 10 000 a second are 6 % of a core.
  verification: object({
    per_second: integer(100, 1_000_000, 'packets per second').default(10_000),
  }).prefault({}),
  stamping: oneOf('on', 'off').default('on'),
  trusted_link: oneOf('sealed').default('sealed'),
  keys_export: keysExportSection,
  admin: adminSection(ROUTE_ADMIN_SOCKET),
  log: logSection,
});

export type RouteFile = z.output<typeof routeFile>;
