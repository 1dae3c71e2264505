import type { FastPathConfig } from './fast-path.ts';
import { type DistributionConfig, distributionOf, type ServiceConfig } from './distribution.ts';
import type { PortRange } from './fields.ts';
import type { KeysExportConfig } from './keys-export.ts';
import { refuseContradictions } from './route-contradictions.ts';
import { type RouteFile, routeFile } from './route-file.ts';
import type { AdminConfig, CouplingConfig, LogConfig } from './shared.ts';
import { type SourcePortsConfig, sourcePortsOf } from './source-ports.ts';

/** What to do with one kind of inner packet. The first rule that fits decides; none fits: deny. No rules: permit what an SA brought. */
export interface FilterRule {
  /** `require-ipsec`: permit through an SA, deny in clear. */
  readonly action: 'permit' | 'deny' | 'require-ipsec';
  /** A name, or the number of a protocol that has none. */
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'icmpv6' | 'any' | number;
  /** Inner destination ports; 0..65535 where the file says nothing. */
  readonly ports: PortRange;
  /** Inner source ports; undefined: any. */
  readonly sourcePorts?: PortRange | undefined;
  /** Inner source network in CIDR form, of the DVIPA's family; undefined: any. */
  readonly source?: string | undefined;
}

export interface DvipaConfig extends DistributionConfig {
  readonly address: string;
  /** Addresses for IKE and outer ESP, of either family; the DVIPA itself where the file names none. */
  readonly endpoints: readonly string[];
  /** `filter`: the routing host applies the rules; `bypass`: the target does, on the authenticated packet. */
  readonly inboundFilter: 'bypass' | 'filter';
  readonly rules: readonly FilterRule[];
  /** `distribute`: what comes in clear goes to a target, if a rule permits it; else it is dropped. */
  readonly clearText: 'reject' | 'distribute';
  /** `direct`: targets send to peers themselves; `router`: what has the DVIPA's address, or its endpoint's, leaves from the routing host only. */
  readonly returnVia: 'direct' | 'router';
  readonly sourcePorts: SourcePortsConfig;
  /** Ports that are distributed in their own ways. */
  readonly services: readonly ServiceConfig[];
}

export interface RouteConfig extends FastPathConfig {
  readonly role: 'route';
  readonly host: string;
  readonly dvipas: readonly DvipaConfig[];
  readonly outside: { readonly interface: string };
  readonly cluster: {
    readonly interface: string;
    readonly address: string;
    /** In bytes. */
    readonly mtu: number;
    readonly couplingPort: number;
    readonly linkPort: number;
  };
  readonly targets: readonly { readonly host: string; readonly address: string }[];
  readonly coupling: CouplingConfig;
  readonly charon: { readonly vici: string; readonly plugin: string };
  /** `entries`: a power of two. */
  readonly connectionTable: { readonly entries: number };
  /** Credit of a target on an SA, in percent of the SA's total lifesize. */
  readonly lifesize: { readonly percentage: number };
  /** Inbound packets that the routing host may open itself, where it must to tell genuine from forged. */
  readonly verification: { readonly perSecond: number };
  /** `off`: several targets on one AES-GCM SA send through the funnel, as on any other. */
  readonly stamping: 'on' | 'off';
  readonly trustedLink: 'sealed';
  /** Undefined: no export of keys. */
  readonly keysExport?: KeysExportConfig | undefined;
  readonly admin: AdminConfig;
  readonly log: LogConfig;
}

export const routeSchema = routeFile.superRefine(refuseContradictions).transform(toConfig);

function toConfig(file: RouteFile): RouteConfig {
  const { dvipas, cluster, verification, trusted_link: trustedLink, keys_export: keysExport, ...rest } = file;
  const { connection_table: connectionTable, ...same } = rest;
  return {
    ...same,
    trustedLink,
    connectionTable,
    verification: { perSecond: verification.per_second },
    ...(keysExport && { keysExport }),
    dvipas: dvipas.map((entry) => ({
      address: entry.address,
      endpoints: [entry.endpoint ?? entry.address].flat(),
      inboundFilter: entry.inbound_filter,
      rules: (entry.rules ?? []).map(({ source_ports: sourcePorts, ...given }) => ({
        ...given,
        ports: given.ports ?? { from: 0, to: 65535 },
        ...(sourcePorts && { sourcePorts }),
      })),
      clearText: entry.clear_text,
      returnVia: entry.return,
      sourcePorts: sourcePortsOf(entry.source_ports, file.targets.length),
      ...distributionOf(entry),
    })),
    cluster: {
      interface: cluster.interface,
      address: cluster.address,
      mtu: cluster.mtu,
      couplingPort: cluster.coupling_port,
      linkPort: cluster.link_port,
    },
  };
}
