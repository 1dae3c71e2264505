import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';
import { listSections } from './stream.ts';

/** A CHILD_SA configuration as charon lists it. */
export interface ListedChild {
  readonly name: string;
  /** e.g. TUNNEL, TRANSPORT, PASS, DROP. */
  readonly mode: string;
  /** Security label, hex. */
  readonly label: string | undefined;
  /** Soft limits; 0: none. */
  readonly rekeySeconds: number;
  readonly rekeyBytes: bigint;
  readonly rekeyPackets: bigint;
  /** e.g. none, trap, start; undefined before 5.9.2. */
  readonly dpdAction: string | undefined;
  readonly closeAction: string | undefined;
  readonly localSelectors: readonly string[];
  readonly remoteSelectors: readonly string[];
  readonly interface: string | undefined;
  readonly priority: number | undefined;
}

/** One round of authentication. */
export interface ListedAuthentication {
  /** e.g. `pre-shared key`, `public key`, `EAP`; undefined: any. */
  readonly class: string | undefined;
  readonly eapType: string | undefined;
  readonly eapVendor: number | undefined;
  readonly xauth: string | undefined;
  readonly revocation: string | undefined;
  readonly id: string | undefined;
  readonly caId: string | undefined;
  readonly aaaId: string | undefined;
  readonly eapId: string | undefined;
  readonly xauthId: string | undefined;
  readonly groups: readonly string[];
  readonly certPolicies: readonly string[];
  /** Distinguished names in the certificates. */
  readonly certs: readonly string[];
  readonly cacerts: readonly string[];
}

/** A connection as charon lists it. */
export interface ListedConnection {
  readonly name: string;
  readonly localAddresses: readonly string[];
  readonly remoteAddresses: readonly string[];
  /** From 6.0 on. */
  readonly localPort: number | undefined;
  readonly remotePort: number | undefined;
  /** `IKEv1`, `IKEv2` or `IKEv1/2`. */
  readonly version: string;
  /** 0: never. */
  readonly reauthSeconds: number;
  readonly rekeySeconds: number;
  /** e.g. UNIQUE_NO, UNIQUE_REPLACE. */
  readonly unique: string;
  readonly dpdDelaySeconds: number | undefined;
  readonly dpdTimeoutSeconds: number | undefined;
  readonly ppkId: string | undefined;
  readonly isPpkRequired: boolean;
  /** Rounds in order. */
  readonly local: readonly ListedAuthentication[];
  readonly remote: readonly ListedAuthentication[];
  readonly children: readonly ListedChild[];
  /** The section as it came. */
  readonly message: ViciMessage;
}

/** All connections that charon knows, whoever loaded them. */
export function listConnections(
  requester: Requester,
  filter: { readonly ike?: string } = {},
  options?: CallOptions,
): Promise<ListedConnection[]> {
  const list = { command: 'list-conns', event: 'list-conn', request: { ike: filter.ike }, options };
  return listSections(requester, list, parseConnection);
}

/** Parses one section of an event `list-conn`. Throws ViciError `invalid`. */
export function parseConnection(name: string, section: ViciMessage): ListedConnection {
  const fields = new Fields(section, 'connection');
  const children = fields.section('children').sections();
  return {
    name,
    localAddresses: fields.list('local_addrs'),
    remoteAddresses: fields.list('remote_addrs'),
    localPort: fields.optionalNumber('local_port', 0xffff),
    remotePort: fields.optionalNumber('remote_port', 0xffff),
    version: fields.text('version'),
    reauthSeconds: fields.number('reauth_time'),
    rekeySeconds: fields.number('rekey_time'),
    unique: fields.text('unique'),
    dpdDelaySeconds: fields.optionalNumber('dpd_delay'),
    dpdTimeoutSeconds: fields.optionalNumber('dpd_timeout'),
    ppkId: section.text('ppk_id'),
    isPpkRequired: fields.optionalFlag('ppk_required'),
    local: authentications(fields, 'local-'),
    remote: authentications(fields, 'remote-'),
    children: children.map(([childName, child]) => parseChild(childName, child)),
    message: section,
  };
}

function authentications(fields: Fields, prefix: string): ListedAuthentication[] {
  const rounds = fields.sections().filter(([key]) => key.startsWith(prefix));
  return rounds.map(([, round]) => ({
    class: round.message.text('class'),
    eapType: round.message.text('eap-type'),
    eapVendor: round.optionalNumber('eap-vendor', 0xffffffff),
    xauth: round.message.text('xauth'),
    revocation: round.message.text('revocation'),
    id: round.message.text('id'),
    caId: round.message.text('ca_id'),
    aaaId: round.message.text('aaa_id'),
    eapId: round.message.text('eap_id'),
    xauthId: round.message.text('xauth_id'),
    groups: round.list('groups'),
    certPolicies: round.list('cert_policy'),
    certs: round.list('certs'),
    cacerts: round.list('cacerts'),
  }));
}

function parseChild(name: string, fields: Fields): ListedChild {
  return {
    name,
    mode: fields.text('mode'),
    label: fields.message.text('label'),
    rekeySeconds: fields.number('rekey_time'),
    rekeyBytes: fields.bigint('rekey_bytes'),
    rekeyPackets: fields.bigint('rekey_packets'),
    dpdAction: fields.message.text('dpd_action'),
    closeAction: fields.message.text('close_action'),
    localSelectors: fields.list('local-ts'),
    remoteSelectors: fields.list('remote-ts'),
    interface: fields.message.text('interface'),
    priority: fields.optionalNumber('priority', 0xffffffff),
  };
}
