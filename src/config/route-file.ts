import { z } from 'zod';
import { hasPorts } from '../packet/protocols.ts';
import { fastPathSections } from './fast-path.ts';
import { ROUTE_ADMIN_SOCKET } from './admin-sockets.ts';
import {
  clusterAddress,
  hostAddress,
  hostName,
  integer,
  list,
  network,
  object,
  oneOf,
  oneOrMore,
  portRange,
  ruleProtocol,
  socketPath,
} from './fields.ts';
import {
  adminSection,
  CLUSTER,
  clusterInterface,
  clusterMtu,
  clusterPorts,
  couplingSection,
  logSection,
  outsideSection,
  ownName,
  roleOf,
} from './shared.ts';
import { distributionKeys } from './distribution.ts';
import { sourcePorts } from './source-ports.ts';
import { keysExportSection } from './keys-export.ts';

const rule = object({
  action: oneOf('permit', 'deny', 'require-ipsec').meta({
    description: 'require-ipsec permits what comes through an SA and drops the same in clear.',
  }),
  protocol: ruleProtocol.meta({ description: 'Protocol above IP.' }),
  source: network.optional().meta({
    description: "Network of the peer's inner address, of the DVIPA's family.",
    absent: 'any',
    example: '10.1.0.0/16',
  }),
  source_ports: portRange.optional().meta({
    description: "The peer's ports, for protocols that have ports.",
    absent: 'any',
    example: '1024-65535',
  }),
  ports: portRange.optional().meta({
    description: "The DVIPA's ports, for protocols that have ports.",
    absent: 'any',
    example: 80,
  }),
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
  .min(16, { error: ENTRIES })
  .max(1_048_576, { error: ENTRIES })
  .refine((value) => Number.isInteger(Math.log2(value)), { error: ENTRIES })
  .meta({
    kind: 'power of two from 16 to 1048576',
    enum: Array.from({ length: 17 }, (_, i) => 2 ** (i + 4)),
  });

const dvipa = object({
  address: hostAddress.meta({ description: 'The DVIPA.' }),
  endpoint: oneOrMore(hostAddress, 'endpoints', 8).optional().meta({
    description: 'Addresses of this host for IKE and outer ESP, of either family.',
    absent: 'the DVIPA itself',
    example: '192.0.2.10',
  }),
  inbound_filter: oneOf('bypass', 'filter').meta({
    description:
      'Where the rules are applied. filter: here; bypass: on the target, on the authenticated packet.',
  }),
  rules: list(rule, 'rules', 256)
    .optional()
    .meta({
      description: 'The inbound filter. The first rule that fits decides; what none fits is dropped.',
      absent: 'what comes through an SA is permitted',
      example: [
        { action: 'permit', protocol: 'tcp' },
        { action: 'require-ipsec', protocol: 'udp', ports: 5353 },
        { action: 'permit', protocol: 'icmp' },
      ],
    }),
  clear_text: oneOf('reject', 'distribute').default('reject').meta({
    description:
      'What comes to the DVIPA without IPsec. distribute: if a permit rule fits, it goes to a target.',
  }),
  return: oneOf('direct', 'router').default('direct').meta({
    description:
      'How targets answer. direct: straight to the peer; router: everything leaves from the routing host.',
  }),
  ...distributionKeys,
  source_ports: sourcePorts,
  targets: list(hostName, 'target hosts', 32).meta({
    description: 'Targets of the DVIPA, declared below; in the order of hot-standby.',
  }),
});

const target = object({
  host: hostName.meta({ description: 'Its name, as in its certificate.' }),
  // The same host elsewhere: take it out, and in again.
  address: clusterAddress.meta({ description: 'Its address on the cluster network.', reload: 'restart' }),
});

/** The file's own spelling, before contradictions are looked for. */
export const routeFile = object({
  role: roleOf('route'),
  host: ownName('router1'),
  dvipas: list(dvipa, 'DVIPAs', 64).meta({
    description: 'The DVIPAs of this routing host.',
    reload: 'hot',
    example: [
      {
        address: '203.0.113.10',
        inbound_filter: 'filter',
        targets: ['target1', 'target2'],
      },
    ],
  }),
  outside: outsideSection,
  cluster: object({
    interface: clusterInterface,
    address: clusterAddress.meta({ description: 'Address of this host on it.', example: '198.51.100.1' }),
    mtu: clusterMtu,
    ...clusterPorts,
  }).meta(CLUSTER),
  targets: list(target, 'targets', 32).meta({
    description: 'All targets. No others are let onto the coupling channel.',
    reload: 'hot',
    example: [
      { host: 'target1', address: '198.51.100.11' },
      { host: 'target2', address: '198.51.100.12' },
    ],
  }),
  coupling: couplingSection,
  charon: object({
    vici: socketPath.default('/run/charon.vici').meta({ description: 'VICI socket of charon.' }),
    plugin: socketPath
      .default('/run/charon.dvipa')
      .meta({ description: 'Socket of the plugin kernel-dvipa, as in kernel-dvipa.conf.' }),
  })
    .prefault({})
    .meta({ description: 'Where charon is found.', reload: 'restart' }),
  connection_table: object({
    entries: tableEntries
      .default(65_536)
      .meta({ description: 'Connections that it holds. 81 bytes for each are taken at the start.' }),
  })
    .prefault({})
    .meta({ description: 'The distributed connection table.', reload: 'restart' }),
  lifesize: object({
    percentage: integer(1, 50, 'percent').default(10).meta({
      description:
        "A target's credit to begin with, of the SA's total; from there it is learned (lifesize.md).",
    }),
  })
    .prefault({})
    .meta({ description: 'Limits of SAs in bytes and packets.', reload: 'hot' }),
  verification: object({
    per_second: integer(100, 1_000_000, 'packets per second').default(10_000).meta({
      description:
        'Packets that this host may open itself where a target cannot tell genuine from forged. With `crypto.library: node` 10000 are 6 % of a core, with the addon less.',
    }),
  })
    .prefault({})
    .meta({ description: 'What attackers can make this host spend.', reload: 'hot' }),
  stamping: oneOf('on', 'off').default('on').meta({
    description:
      'Several targets on one AES-GCM SA. on: they seal, this host only numbers; off: this host seals for them (outbound.md).',
    reload: 'hot',
  }),
  trusted_link: oneOf('sealed').default('sealed').meta({
    description: 'How packets cross the cluster. There is one way so far.',
    reload: 'restart',
  }),
  ...fastPathSections,
  keys_export: keysExportSection,
  admin: adminSection(ROUTE_ADMIN_SOCKET),
  log: logSection,
});

export type RouteFile = z.output<typeof routeFile>;
