import type { z } from 'zod';
import { TARGET_ADMIN_SOCKET } from './admin-sockets.ts';
import { type FastPathConfig, fastPathSections } from './fast-path.ts';
import {
  clusterAddress,
  familyOfText,
  flag,
  hostAddress,
  hostName,
  integer,
  interfaceName,
  list,
  object,
} from './fields.ts';
import {
  type AdminConfig,
  adminSection,
  CLUSTER,
  clusterInterface,
  clusterMtu,
  clusterPorts,
  type CouplingConfig,
  couplingSection,
  type LogConfig,
  logSection,
  outsideSection,
  ownName,
  refuseRepeats,
  roleOf,
} from './shared.ts';

export interface TargetConfig extends FastPathConfig {
  readonly role: 'target';
  readonly host: string;
  /** Addresses this host serves; filter rules and endpoints come from the routing host. */
  readonly dvipas: readonly string[];
  readonly router: {
    /** Must be in the routing host's certificate. */
    readonly host: string;
    readonly address: string;
    readonly couplingPort: number;
    readonly linkPort: number;
  };
  readonly cluster: { readonly interface: string; readonly address: string; readonly mtu: number };
  readonly outside: { readonly interface: string };
  readonly tun: { readonly name: string; readonly mtu: number };
  /** `manage`: the agent sets the kernel's range of source ports to what is leased to this host. */
  readonly sourcePorts: { readonly manage: boolean };
  readonly coupling: CouplingConfig;
  readonly admin: AdminConfig;
  readonly log: LogConfig;
}

/** The file's own spelling, before contradictions are looked for. */
export const targetFile = object({
  role: roleOf('target'),
  host: ownName('target1'),
  dvipas: list(hostAddress, 'DVIPAs', 64).meta({
    description: 'DVIPAs that this host serves. Rules and endpoints come from the routing host.',
    reload: 'hot',
    example: ['203.0.113.10'],
  }),
  router: object({
    host: hostName.meta({ description: 'Its name, as in its certificate.', example: 'router1' }),
    address: clusterAddress.meta({
      description: 'Its address on the cluster network.',
      example: '198.51.100.1',
    }),
    ...clusterPorts,
  }).meta({ description: 'The routing host.', reload: 'restart' }),
  cluster: object({
    interface: clusterInterface,
    address: clusterAddress.meta({ description: 'Address of this host on it.', example: '198.51.100.11' }),
    mtu: clusterMtu,
  }).meta(CLUSTER),
  outside: outsideSection,
  tun: object({
    name: interfaceName.default('dvipa0').meta({ description: 'Its name: of no other interface.' }),
    // 576: what every IPv4 host must take (RFC 791). 1360 + ESP-in-UDP in tunnel mode fits 1500.
    mtu: integer(576, 65_535, 'bytes')
      .default(1360)
      .meta({ description: 'Its MTU. With an IPv6 DVIPA at least 1280.' }),
  })
    .prefault({})
    .meta({
      description: 'The TUN interface between the kernel, with its applications, and the agent.',
      reload: 'restart',
    }),
  source_ports: object({
    manage: flag.default(false).meta({
      description:
        "Whether the agent sets the kernel's net.ipv4.ip_local_port_range to what is leased to this host. Otherwise it only warns.",
    }),
  })
    .prefault({})
    .meta({ description: 'Ports from which this host opens connections of its DVIPAs.', reload: 'hot' }),
  ...fastPathSections,
  coupling: couplingSection,
  admin: adminSection(TARGET_ADMIN_SOCKET),
  log: logSection,
});

type TargetFile = z.output<typeof targetFile>;

export const targetSchema = targetFile.superRefine(refuseContradictions).transform(toConfig);

function refuseContradictions(file: TargetFile, context: z.core.$RefinementCtx): void {
  const refuse = (path: (string | number)[], message: string) => {
    context.addIssue({ code: 'custom', path, message });
  };
  refuseRepeats(
    file.dvipas,
    (address) => address,
    (at) => ['dvipas', at],
    context,
  );
  for (const [section, { address }] of Object.entries({ router: file.router, cluster: file.cluster })) {
    if (file.dvipas.includes(address)) {
      refuse([section, 'address'], 'is a DVIPA, expected an address of the cluster network');
    }
  }
  // RFC 8200 section 5: no link with IPv6 has less.
  if (file.tun.mtu < 1280 && file.dvipas.some((address) => familyOfText(address) === 'IPv6')) {
    refuse(['tun', 'mtu'], 'is too small for an IPv6 DVIPA, expected bytes from 1280 to 65535');
  }
  if (file.router.address === file.cluster.address) {
    refuse(['router', 'address'], "is this host's own, expected the routing host's");
  }
  if (file.router.host === file.host) {
    refuse(['router', 'host'], "is this host's name, expected the routing host's");
  }
  for (const section of ['cluster', 'outside'] as const) {
    if (file.tun.name === file[section].interface) {
      refuse(['tun', 'name'], `is the ${section} interface, expected a name of its own`);
    }
  }
}

function toConfig({ router, source_ports: sourcePorts, ...same }: TargetFile): TargetConfig {
  return {
    ...same,
    sourcePorts,
    router: {
      host: router.host,
      address: router.address,
      couplingPort: router.coupling_port,
      linkPort: router.link_port,
    },
  };
}
