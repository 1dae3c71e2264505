import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';

/** A CHILD_SA as charon lists it. Optional members are absent in some states, modes or versions. */
export interface ChildSa {
  /** Name in the configuration. */
  readonly name: string;
  readonly uniqueId: number;
  readonly reqid: number;
  /** e.g. INSTALLED, REKEYING, REKEYED, DELETING; a newer charon may know more. */
  readonly state: string;
  /** e.g. TUNNEL, TRANSPORT. */
  readonly mode: string;
  /** ESP or AH. */
  readonly protocol: string | undefined;
  readonly hasUdpEncapsulation: boolean;
  /** As seen by this charon: `in` is towards it. Host reading order; undefined before installation. */
  readonly spiIn: number | undefined;
  readonly spiOut: number | undefined;
  readonly bytesIn: number;
  readonly packetsIn: number;
  readonly bytesOut: number;
  readonly packetsOut: number;
  /** Seconds since the last packet; undefined if there was none. */
  readonly idleInSeconds: number | undefined;
  readonly idleOutSeconds: number | undefined;
  /** Seconds since installation; until the soft and the hard limit of time (below 0 if past). */
  readonly ageSeconds: number | undefined;
  readonly rekeyInSeconds: number | undefined;
  readonly expiresInSeconds: number | undefined;
  readonly encryption: string | undefined;
  readonly encryptionKeyBits: number | undefined;
  readonly integrity: string | undefined;
  readonly localSelectors: readonly string[];
  readonly remoteSelectors: readonly string[];
}

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
  readonly isInitiator: boolean;
  /** 16 hex digits. */
  readonly initiatorSpi: string | undefined;
  readonly responderSpi: string | undefined;
  readonly establishedSeconds: number | undefined;
  readonly rekeyInSeconds: number | undefined;
  readonly children: readonly ChildSa[];
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
    isInitiator: section.text('initiator') === 'yes',
    initiatorSpi: section.text('initiator-spi'),
    responderSpi: section.text('responder-spi'),
    establishedSeconds: fields.optionalNumber('established'),
    rekeyInSeconds: optionalSeconds(fields, 'rekey-time'),
    children: (section.section('child-sas')?.sections() ?? []).map(([, child]) => parseChildSa(child)),
  };
}

/** Parses one section of `child-sas`. Throws ViciError `invalid`. */
export function parseChildSa(section: ViciMessage): ChildSa {
  const fields = new Fields(section, 'child-sa');
  return {
    name: fields.text('name'),
    uniqueId: fields.number('uniqueid'),
    reqid: fields.number('reqid'),
    state: fields.text('state'),
    mode: fields.text('mode'),
    protocol: section.text('protocol'),
    hasUdpEncapsulation: section.text('encap') === 'yes',
    spiIn: fields.has('spi-in') ? fields.spi('spi-in') : undefined,
    spiOut: fields.has('spi-out') ? fields.spi('spi-out') : undefined,
    bytesIn: fields.optionalNumber('bytes-in') ?? 0,
    packetsIn: fields.optionalNumber('packets-in') ?? 0,
    bytesOut: fields.optionalNumber('bytes-out') ?? 0,
    packetsOut: fields.optionalNumber('packets-out') ?? 0,
    idleInSeconds: fields.optionalNumber('use-in'),
    idleOutSeconds: fields.optionalNumber('use-out'),
    ageSeconds: fields.optionalNumber('install-time'),
    rekeyInSeconds: optionalSeconds(fields, 'rekey-time'),
    expiresInSeconds: optionalSeconds(fields, 'life-time'),
    encryption: section.text('encr-alg'),
    encryptionKeyBits: fields.optionalNumber('encr-keysize'),
    integrity: section.text('integ-alg'),
    localSelectors: section.list('local-ts') ?? [],
    remoteSelectors: section.list('remote-ts') ?? [],
  };
}

/**
 * Seconds from now. charon may be late, and prints what then is negative as a signed or as an unsigned 64-bit number.
 */
function optionalSeconds(fields: Fields, key: string): number | undefined {
  const text = fields.message.text(key);
  if (text === undefined) return undefined;
  if (!/^-?\d{1,20}$/.test(text)) throw fields.invalid(key, 'seconds');
  return Number(BigInt.asIntN(64, BigInt(text)));
}
