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
export function additionalKeyExchanges(section: ViciMessage): string[] {
  return [1, 2, 3, 4, 5, 6, 7].flatMap((number) => section.text(`ake${number}`) ?? []);
}

/**
 * Seconds from now. charon may be late, and prints what then is negative as a signed or as an unsigned 64-bit number.
 */
export function optionalSeconds(fields: Fields, key: string): number | undefined {
  const text = fields.message.text(key);
  if (text === undefined) return undefined;
  if (!/^-?\d{1,20}$/.test(text)) throw fields.invalid(key, 'seconds');
  return Number(BigInt.asIntN(64, BigInt(text)));
}
