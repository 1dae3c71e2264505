import { type ViciFields, type ViciInput, ViciMessage } from '../message.ts';
import { configFields } from './config-fields.ts';

/**
 * A connection in the terms of swanctl.conf(5), `connections.<conn>`, with its names in camel case: what each option
 * means, and its default, stands there. charon checks the values and answers `refused`.
 */

/** Seconds, or text with a unit: `90s`, `10m`, `4h`, `1d`. */
export type TimeOption = number | string;
/** Bytes, or text with a unit: `500M`, `1G`. */
export type BytesOption = number | bigint | string;

export interface ConnectionConfig {
  /** 0 (default): initiates version 2, takes both. */
  readonly version?: 0 | 1 | 2;
  readonly localAddrs?: readonly string[];
  readonly remoteAddrs?: readonly string[];
  readonly localPort?: number;
  readonly remotePort?: number;
  readonly proposals?: readonly string[];
  readonly vips?: readonly string[];
  readonly pools?: readonly string[];
  readonly aggressive?: boolean;
  readonly pull?: boolean;
  /** Six binary digits. */
  readonly dscp?: string;
  readonly encap?: boolean;
  readonly mobike?: boolean;
  readonly dpdDelay?: TimeOption;
  readonly dpdTimeout?: TimeOption;
  readonly fragmentation?: 'yes' | 'accept' | 'force' | 'no';
  /** `prefer` from 6.0 on. */
  readonly childless?: 'allow' | 'prefer' | 'force' | 'never';
  readonly sendCertreq?: boolean;
  readonly sendCert?: 'ifasked' | 'always' | 'never';
  /** From 6.0 on. */
  readonly ocsp?: 'reply' | 'request' | 'both' | 'never';
  readonly ppkId?: string;
  readonly ppkRequired?: boolean;
  readonly keyingtries?: number;
  readonly unique?: 'never' | 'no' | 'keep' | 'replace';
  readonly reauthTime?: TimeOption;
  readonly rekeyTime?: TimeOption;
  readonly overTime?: TimeOption;
  readonly randTime?: TimeOption;
  /** Number, or `%unique`, `%unique-dir`; so all interface IDs and marks. */
  readonly ifIdIn?: number | string;
  readonly ifIdOut?: number | string;
  readonly mediation?: boolean;
  readonly mediatedBy?: string;
  readonly mediationPeer?: string;
  /** Authentication rounds of this side and of the other, in order. Both need at least one. */
  readonly local: AuthConfig | readonly AuthConfig[];
  readonly remote: AuthConfig | readonly AuthConfig[];
  /** By name. A `Map` serves for names that come from outside. */
  readonly children?: Readonly<Record<string, ChildConfig>> | ReadonlyMap<string, ChildConfig>;
  /** Options that are not named here, under their names in swanctl.conf. */
  readonly more?: ViciFields;
}

/** `local<suffix>` or `remote<suffix>`. Certificates and keys are PEM or DER. */
export interface AuthConfig {
  readonly round?: number;
  /** `psk`, `pubkey`, `eap-...`, `xauth-...`, `rsa-4096-sha256-...`. */
  readonly auth?: string;
  readonly id?: string;
  readonly eapId?: string;
  readonly certs?: readonly (string | Uint8Array)[];
  readonly pubkeys?: readonly (string | Uint8Array)[];
  /** Certificates from files that charon reads, or from tokens. */
  readonly certSources?: readonly CertificateSource[];
  /** Of `local` only. */
  readonly aaaId?: string;
  readonly xauthId?: string;
  /** Of `remote` only. */
  readonly caId?: string;
  readonly groups?: readonly string[];
  readonly certPolicy?: readonly string[];
  readonly cacerts?: readonly (string | Uint8Array)[];
  readonly cacertSources?: readonly CertificateSource[];
  readonly revocation?: 'strict' | 'ifuri' | 'relaxed';
  readonly more?: ViciFields;
}

export type CertificateSource =
  | { readonly file: string }
  | { readonly handle: string; readonly slot?: number; readonly module?: string };

export type ChildAction = 'none' | 'clear' | 'trap' | 'start';

/** `children.<child>`. */
export interface ChildConfig {
  readonly ahProposals?: readonly string[];
  readonly espProposals?: readonly string[];
  readonly localTs?: readonly string[];
  readonly remoteTs?: readonly string[];
  /** `iptfs` from 6.0 on. */
  readonly mode?: 'tunnel' | 'transport' | 'transport_proxy' | 'beet' | 'iptfs' | 'pass' | 'drop';
  readonly rekeyTime?: TimeOption;
  readonly lifeTime?: TimeOption;
  readonly randTime?: TimeOption;
  readonly rekeyBytes?: BytesOption;
  readonly lifeBytes?: BytesOption;
  readonly randBytes?: BytesOption;
  readonly rekeyPackets?: number | bigint;
  readonly lifePackets?: number | bigint;
  readonly randPackets?: number | bigint;
  readonly updown?: string;
  readonly hostaccess?: boolean;
  readonly policies?: boolean;
  readonly policiesFwdOut?: boolean;
  readonly dpdAction?: ChildAction | 'restart';
  /** `trap|start` from 5.9.6 on. */
  readonly startAction?: ChildAction | 'trap|start';
  readonly closeAction?: ChildAction | 'trap|start';
  readonly ipcomp?: boolean;
  readonly inactivity?: TimeOption;
  readonly reqid?: number;
  readonly priority?: number;
  readonly interface?: string;
  readonly markIn?: number | string;
  readonly markInSa?: boolean;
  readonly markOut?: number | string;
  readonly setMarkIn?: number | string;
  readonly setMarkOut?: number | string;
  readonly ifIdIn?: number | string;
  readonly ifIdOut?: number | string;
  readonly label?: string;
  readonly labelMode?: 'system' | 'simple' | 'selinux';
  readonly tfcPadding?: number | 'mtu';
  readonly replayWindow?: number;
  /** From 6.0 on. */
  readonly perCpuSas?: boolean | 'encap';
  /** `crypto` and `packet` from 6.0 on. */
  readonly hwOffload?: 'no' | 'yes' | 'auto' | 'crypto' | 'packet';
  readonly sha256_96?: boolean;
  readonly copyDf?: boolean;
  readonly copyEcn?: boolean;
  readonly copyDscp?: 'no' | 'in' | 'out' | 'yes';
  /** From 6.0 on. */
  readonly icmp?: boolean;
  readonly more?: ViciFields;
}

/** The section that `load-conn` takes. Throws ViciError `invalid` for a number that is none. */
export function connectionSection(connection: ConnectionConfig): ViciMessage {
  const { local, remote, children = {}, more = {}, ...options } = connection;
  const childEntries = children instanceof Map ? [...children] : Object.entries(children);
  const childSections = childEntries.map(([name, child]): [string, ViciInput] => [name, childSection(child)]);
  return ViciMessage.of([
    ...configFields(options),
    ...authSections('local', local),
    ...authSections('remote', remote),
    ['children', ViciMessage.of(childSections)],
    ...Object.entries(more),
  ]);
}

function authSections(side: string, rounds: AuthConfig | readonly AuthConfig[]): [string, ViciInput][] {
  return [rounds].flat().map((auth: AuthConfig, index) => [`${side}-${index + 1}`, authSection(auth)]);
}

function authSection(auth: AuthConfig): ViciMessage {
  const { certSources = [], cacertSources = [], more = {}, ...options } = auth;
  return ViciMessage.of([
    ...configFields(options),
    ...certSources.map((source, index): [string, ViciInput] => [`cert-${index + 1}`, { ...source }]),
    ...cacertSources.map((source, index): [string, ViciInput] => [`cacert-${index + 1}`, { ...source }]),
    ...Object.entries(more),
  ]);
}

function childSection({ more = {}, ...options }: ChildConfig): ViciMessage {
  return ViciMessage.of([...configFields(options), ...Object.entries(more)]);
}
