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
  /** Compression Parameter Indexes, with IPComp. */
  readonly cpiIn: number | undefined;
  readonly cpiOut: number | undefined;
  readonly markIn: Mark | undefined;
  readonly markOut: Mark | undefined;
  /** XFRM interface IDs. */
  readonly ifIdIn: number | undefined;
  readonly ifIdOut: number | undefined;
  /** Per-CPU SAs, from 6.0 on: whether the CHILD_SA has such, and the CPU that this one is for. */
  readonly isPerCpu: boolean;
  readonly cpu: number | undefined;
  /** Security label, hex. */
  readonly label: string | undefined;
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
  readonly integrityKeyBits: number | undefined;
  /** Of the last rekey with perfect forward secrecy, e.g. CURVE_25519. */
  readonly keyExchange: string | undefined;
  /** RFC 9370, from 6.0 on: e.g. ML_KEM_768. */
  readonly additionalKeyExchanges: readonly string[];
  readonly hasEsn: boolean;
  readonly localSelectors: readonly string[];
  readonly remoteSelectors: readonly string[];
  /** The section as it came: what a newer charon adds is here. */
  readonly message: ViciMessage;
}

/** A Netfilter mark. */
export interface Mark {
  readonly value: number;
  /** 0xffffffff if charon names none. */
  readonly mask: number;
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
    spiIn: fields.optionalHex('spi-in'),
    spiOut: fields.optionalHex('spi-out'),
    cpiIn: optionalCpi(fields, 'cpi-in'),
    cpiOut: optionalCpi(fields, 'cpi-out'),
    markIn: optionalMark(fields, 'mark-in', 'mark-mask-in'),
    markOut: optionalMark(fields, 'mark-out', 'mark-mask-out'),
    ifIdIn: fields.optionalHex('if-id-in'),
    ifIdOut: fields.optionalHex('if-id-out'),
    isPerCpu: fields.optionalFlag('per-cpu-sas'),
    cpu: fields.optionalNumber('cpu', 0xffffffff),
    label: section.text('label'),
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
    integrityKeyBits: fields.optionalNumber('integ-keysize'),
    keyExchange: section.text('dh-group'),
    additionalKeyExchanges: additionalKeyExchanges(section),
    hasEsn: section.text('esn') === '1',
    localSelectors: fields.list('local-ts'),
    remoteSelectors: fields.list('remote-ts'),
    message: section,
  };
}

function optionalCpi(fields: Fields, key: string): number | undefined {
  return fields.has(key)
    ? Number.parseInt(fields.match(key, /^[0-9a-f]{4}$/, '4 hex digits'), 16)
    : undefined;
}

function optionalMark(fields: Fields, key: string, maskKey: string): Mark | undefined {
  const value = fields.optionalHex(key);
  return value === undefined ? undefined : { value, mask: fields.optionalHex(maskKey) ?? 0xffffffff };
}

/** `ake1` to `ake7`, those that are there. */
function additionalKeyExchanges(section: ViciMessage): string[] {
  return [1, 2, 3, 4, 5, 6, 7].flatMap((number) => section.text(`ake${number}`) ?? []);
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
