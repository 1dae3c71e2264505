import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import { ViciMessage } from '../message.ts';
import { listEvents } from './stream.ts';

export type CertificateType = 'X509' | 'X509_AC' | 'X509_CRL' | 'OCSP_RESPONSE' | 'PUBKEY';
/** Of an X.509 certificate: `CA`, attribute authority, OCSP signer, or none of these. */
export type CertificateFlag = 'NONE' | 'CA' | 'AA' | 'OCSP';

/** Loads a certificate or CRL. A CA's own must have the CA basic constraint. */
export async function loadCertificate(
  requester: Requester,
  certificate: {
    readonly type: 'X509' | 'X509_AC' | 'X509_CRL';
    /** Default `NONE`. */
    readonly flag?: CertificateFlag;
    /** PEM or DER. */
    readonly data: string | Uint8Array;
  },
  options?: CallOptions,
): Promise<void> {
  await requester.request('load-cert', ViciMessage.of({ ...certificate }), options);
}

/** Empties the cache of certificates that charon fetched or received, or of one type. */
export async function flushCertificates(
  requester: Requester,
  filter: { readonly type?: CertificateType | 'ANY' } = {},
  options?: CallOptions,
): Promise<void> {
  await requester.request('flush-certs', ViciMessage.of({ ...filter }), options);
}

export interface Certificate {
  readonly type: CertificateType;
  /** Of X.509 certificates. */
  readonly flag: CertificateFlag | undefined;
  readonly hasPrivateKey: boolean;
  /** DER. */
  readonly data: Buffer;
  /** These three of raw public keys only, where known; those of a certificate are in `data`. */
  readonly subject: string | undefined;
  readonly notBefore: Date | undefined;
  readonly notAfter: Date | undefined;
  /** The event as it came. */
  readonly message: ViciMessage;
}

export interface ListCertificatesFilter {
  readonly type?: CertificateType | 'ANY';
  /** With type `X509`. */
  readonly flag?: CertificateFlag | 'ANY';
  readonly subject?: string;
}

/** All certificates that charon knows, whoever loaded them. */
export function listCertificates(
  requester: Requester,
  filter: ListCertificatesFilter = {},
  options?: CallOptions,
): Promise<Certificate[]> {
  const list = { command: 'list-certs', event: 'list-cert', request: { ...filter }, options };
  return listEvents(requester, list, parseCertificate);
}

const TYPES = ['X509', 'X509_AC', 'X509_CRL', 'OCSP_RESPONSE', 'PUBKEY'] as const;
const FLAGS = ['NONE', 'CA', 'AA', 'OCSP'] as const;

/** Parses an event `list-cert`. Throws ViciError `invalid`. */
export function parseCertificate(message: ViciMessage): Certificate {
  const fields = new Fields(message, 'certificate');
  return {
    type: fields.oneOf('type', TYPES),
    flag: fields.has('flag') ? fields.oneOf('flag', FLAGS) : undefined,
    hasPrivateKey: fields.optionalFlag('has_privkey'),
    data: Buffer.from(fields.binary('data', 0xffff)),
    subject: message.text('subject'),
    notBefore: optionalTime(fields, 'not-before'),
    notAfter: optionalTime(fields, 'not-after'),
    message,
  };
}

/** ASN.1 GeneralizedTime as charon writes it, e.g. `20261123003935Z`. */
function optionalTime(fields: Fields, key: string): Date | undefined {
  if (!fields.has(key)) return undefined;
  const text = fields.match(key, /^\d{14}Z$/, 'a time YYYYMMDDhhmmssZ');
  const [, date, hours, minutes, seconds] = /^(\d{8})(\d\d)(\d\d)(\d\d)/.exec(text) as unknown as string[];
  const day = (date as string).replace(/^(\d{4})(\d\d)(\d\d)$/, '$1-$2-$3');
  const time = new Date(`${day}T${hours}:${minutes}:${seconds}Z`);
  if (Number.isNaN(time.getTime())) throw fields.invalid(key, 'a time YYYYMMDDhhmmssZ');
  return time;
}
