import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import { ViciMessage } from '../message.ts';
import { configFields } from './config-fields.ts';
import { listSections } from './stream.ts';

/** A certification authority, in the terms of swanctl.conf (`authorities`). One of `cacert`, `file`, `handle` is needed. */
export interface AuthorityConfig {
  /** Its certificate, PEM or DER. */
  readonly cacert?: string | Uint8Array;
  /** The same as a file that charon reads. */
  readonly file?: string;
  /** The same on a token: CKA_ID in hex, slot and PKCS#11 module. */
  readonly handle?: string;
  readonly slot?: number;
  readonly module?: string;
  readonly crlUris?: readonly string[];
  readonly ocspUris?: readonly string[];
  readonly certUriBase?: string;
}

/** Loads an authority, or replaces the one of this name. */
export async function loadAuthority(
  requester: Requester,
  name: string,
  authority: AuthorityConfig,
  options?: CallOptions,
): Promise<void> {
  const section = ViciMessage.of(configFields(authority));
  await requester.request('load-authority', ViciMessage.of([[name, section]]), options);
}

export async function unloadAuthority(
  requester: Requester,
  name: string,
  options?: CallOptions,
): Promise<void> {
  await requester.request('unload-authority', ViciMessage.of({ name }), options);
}

/** Names of the authorities. */
export async function getAuthorities(requester: Requester, options?: CallOptions): Promise<string[]> {
  const reply = await requester.request('get-authorities', undefined, options);
  return new Fields(reply, 'get-authorities').list('authorities');
}

export interface Authority {
  readonly name: string;
  /** Distinguished name in its certificate. */
  readonly subject: string;
  readonly crlUris: readonly string[];
  readonly ocspUris: readonly string[];
  readonly certUriBase: string | undefined;
  /** The section as it came. */
  readonly message: ViciMessage;
}

export function listAuthorities(
  requester: Requester,
  filter: { readonly name?: string } = {},
  options?: CallOptions,
): Promise<Authority[]> {
  const list = {
    command: 'list-authorities',
    event: 'list-authority',
    request: { name: filter.name },
    options,
  };
  return listSections(requester, list, parseAuthority);
}

/** Parses one section of an event `list-authority`. Throws ViciError `invalid`. */
export function parseAuthority(name: string, section: ViciMessage): Authority {
  const fields = new Fields(section, 'authority');
  return {
    name,
    subject: fields.text('cacert'),
    crlUris: fields.list('crl_uris'),
    ocspUris: fields.list('ocsp_uris'),
    certUriBase: section.text('cert_uri_base'),
    message: section,
  };
}
