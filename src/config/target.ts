import { z } from 'zod';
import { TARGET_ADMIN_SOCKET } from './admin-sockets.ts';
import {
  clusterAddress,
  familyOfText,
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
  clusterMtu,
  clusterPorts,
  type CouplingConfig,
  couplingSection,
  type LogConfig,
  logSection,
  refuseRepeats,
} from './shared.ts';

export interface TargetConfig {
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

const targetFile = object({
  role: z.literal('target'),
  host: hostName,
  dvipas: list(hostAddress, 'DVIPAs', 64),
  router: object({ host: hostName, address: clusterAddress, ...clusterPorts }),
  cluster: object({ interface: interfaceName, address: clusterAddress, mtu: clusterMtu }),
  outside: object({ interface: interfaceName }),
  tun: object({
    name: interfaceName.default('dvipa0'),
    // 576: what every IPv4 host must take (RFC 791). 1360 + ESP-in-UDP in tunnel mode fits 1500.
    mtu: integer(576, 65_535, 'bytes').default(1360),
  }).prefault({}),
  source_ports: object({
    manage: z.boolean({ error: 'expected true or false' }).default(false),
  }).prefault({}),
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
