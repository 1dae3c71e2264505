import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';

import { additionalKeyExchanges, type ChildSa, optionalSeconds, parseChildSa } from './child-sa.ts';

/** An IKE_SA with its CHILD_SAs as charon lists it. */
export interface IkeSa {
  /** Name in the configuration. */
  readonly name: string;
  readonly uniqueId: number;
  /** 1 or 2. */
  readonly version: number;
  /** e.g. CONNECTING, ESTABLISHED, REKEYING, DELETING. */
  readonly state: string;
  readonly localHost: string;
  readonly localPort: number | undefined;
  readonly localId: string | undefined;
  readonly remoteHost: string;
  readonly remotePort: number | undefined;
  readonly remoteId: string | undefined;
  /** Where it differs from `remoteId`: of IKEv1, and of IKEv2. */
  readonly remoteXauthId: string | undefined;
  readonly remoteEapId: string | undefined;
  readonly isInitiator: boolean;
  /** 16 hex digits. */
  readonly initiatorSpi: string | undefined;
  readonly responderSpi: string | undefined;
  /** What NAT there is: before this side, before the other, feigned, or any of these. */
  readonly nat: {
    readonly local: boolean;
    readonly remote: boolean;
    readonly fake: boolean;
    readonly any: boolean;
  };
  readonly ifIdIn: number | undefined;
  readonly ifIdOut: number | undefined;
  readonly encryption: string | undefined;
  readonly encryptionKeyBits: number | undefined;
  readonly integrity: string | undefined;
  readonly integrityKeyBits: number | undefined;
  readonly prf: string | undefined;
  readonly keyExchange: string | undefined;
  /** RFC 9370, from 6.0 on. */
  readonly additionalKeyExchanges: readonly string[];
  /** A post-quantum pre-shared key was used (RFC 8784). */
  readonly usesPpk: boolean;
  readonly establishedSeconds: number | undefined;
  readonly rekeyInSeconds: number | undefined;
  readonly reauthInSeconds: number | undefined;
  /** Virtual addresses that the other side gave this one, and the other way round. */
  readonly localVirtualIps: readonly string[];
  readonly remoteVirtualIps: readonly string[];
  readonly tasksQueued: readonly string[];
  readonly tasksActive: readonly string[];
  readonly tasksPassive: readonly string[];
  readonly children: readonly ChildSa[];
  /** The section as it came: what a newer charon adds is here. */
  readonly message: ViciMessage;
}

/**
 * Parses one IKE_SA section: `name` is the section's key, `section` its content, as in `list-sa` and the
 * events. Lax to what it does not know, strict with what it returns: throws ViciError `invalid`.
 */
export function parseIkeSa(name: string, section: ViciMessage): IkeSa {
  const fields = new Fields(section, 'ike-sa');
  return {
    name,
    uniqueId: fields.number('uniqueid'),
    version: fields.number('version', 2),
    state: fields.text('state'),
    localHost: fields.text('local-host'),
    localPort: fields.optionalNumber('local-port', 0xffff),
    localId: section.text('local-id'),
    remoteHost: fields.text('remote-host'),
    remotePort: fields.optionalNumber('remote-port', 0xffff),
    remoteId: section.text('remote-id'),
    remoteXauthId: section.text('remote-xauth-id'),
    remoteEapId: section.text('remote-eap-id'),
    isInitiator: section.text('initiator') === 'yes',
    initiatorSpi: section.text('initiator-spi'),
    responderSpi: section.text('responder-spi'),
    nat: {
      local: fields.optionalFlag('nat-local'),
      remote: fields.optionalFlag('nat-remote'),
      fake: fields.optionalFlag('nat-fake'),
      any: fields.optionalFlag('nat-any'),
    },
    ifIdIn: fields.optionalHex('if-id-in'),
    ifIdOut: fields.optionalHex('if-id-out'),
    encryption: section.text('encr-alg'),
    encryptionKeyBits: fields.optionalNumber('encr-keysize'),
    integrity: section.text('integ-alg'),
    integrityKeyBits: fields.optionalNumber('integ-keysize'),
    prf: section.text('prf-alg'),
    keyExchange: section.text('dh-group'),
    additionalKeyExchanges: additionalKeyExchanges(section),
    usesPpk: fields.optionalFlag('ppk'),
    establishedSeconds: fields.optionalNumber('established'),
    rekeyInSeconds: optionalSeconds(fields, 'rekey-time'),
    reauthInSeconds: optionalSeconds(fields, 'reauth-time'),
    localVirtualIps: fields.list('local-vips'),
    remoteVirtualIps: fields.list('remote-vips'),
    tasksQueued: fields.list('tasks-queued'),
    tasksActive: fields.list('tasks-active'),
    tasksPassive: fields.list('tasks-passive'),
    children: (section.section('child-sas')?.sections() ?? []).map(([, child]) => parseChildSa(child)),
    message: section,
  };
}
