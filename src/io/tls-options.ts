import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { CouplingViolation } from '../coupling/errors.ts';

/** PEM texts: the cluster's CA, our certificate, our key. */
export interface TlsCredentials {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Reads the files that the configuration names. */
export async function readCredentials(paths: TlsCredentials): Promise<TlsCredentials> {
  const [ca, certificate, key] = await Promise.all(
    [paths.ca, paths.certificate, paths.key].map((path) => readFile(path, 'utf8')),
  );
  return { ca, certificate, key } as TlsCredentials;
}

/** Throws if OpenSSL does not take the files: no certificate, or a key of another one. */
export function checkCredentials(credentials: TlsCredentials): void {
  createSecureContext(tlsOptions(credentials));
}

/** Both sides: TLS 1.3 and nothing older, our CA and no other, a certificate from the peer or no connection. */
export function tlsOptions({ ca, certificate, key }: TlsCredentials) {
  return {
    ca,
    cert: certificate,
    key,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: true,
  } as const;
}

/** Failures of a stream that is there no more, not of a peer that did wrong. */
const STREAM_FAILURE = /^E[A-Z]+$/;
const CERTIFICATE_FAILURE = /CERT|SIGNATURE|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|ISSUER|CRL/;

/**
 * The counter for a handshake that failed with `code`: OpenSSL's name of a verification result
 * (`SELF_SIGNED_CERT_IN_CHAIN`), Node's of an OpenSSL error (`ERR_SSL_...`). Undefined: the network's fault.
 */
export function handshakeViolation(code: string | undefined): CouplingViolation | undefined {
  if (code === undefined) return 'coupling-tls';
  if (CERTIFICATE_FAILURE.test(code)) return 'coupling-certificate';
  return STREAM_FAILURE.test(code) ? undefined : 'coupling-tls';
}

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
