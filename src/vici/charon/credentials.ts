import type { KeyMaterial } from '../../base/key-material.ts';
import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import { Fields } from '../fields.ts';
import { type ViciFields, ViciMessage } from '../message.ts';

/**
 * Private keys and shared secrets. Secrets come as KeyMaterial, which stays the caller's to wipe; the bytes of the
 * request are overwritten when charon has answered.
 */

/** Loads a private key. Resolves with the identifier by which it is listed and unloaded: SHA-1 of its public key, hex. */
export async function loadKey(
  requester: Requester,
  key: {
    readonly type: 'rsa' | 'ecdsa' | 'ed25519' | 'ed448' | 'any';
    /** PEM or DER, not encrypted. */
    readonly data: KeyMaterial;
  },
  options?: CallOptions,
): Promise<string> {
  const reply = await secretRequest(
    requester,
    'load-key',
    { type: key.type, data: key.data.reveal() },
    options,
  );
  return keyId(reply, 'load-key');
}

/** Loads a private key that is on a token (plugin `pkcs11` or `tpm`). Resolves with its identifier, as `loadKey`. */
export async function loadToken(
  requester: Requester,
  token: {
    /** CKA_ID, or TPM handle, in hex. */
    readonly handle: string;
    readonly slot?: number;
    readonly module?: string;
    readonly pin?: KeyMaterial;
  },
  options?: CallOptions,
): Promise<string> {
  const request = { ...token, pin: token.pin?.reveal() };
  return keyId(await secretRequest(requester, 'load-token', request, options), 'load-token');
}

/** `refused` if it is not there. */
export async function unloadKey(requester: Requester, id: string, options?: CallOptions): Promise<void> {
  await requester.request('unload-key', ViciMessage.of({ id }), options);
}

/** Identifiers of the private keys that were loaded over VICI. */
export async function getKeys(requester: Requester, options?: CallOptions): Promise<string[]> {
  return new Fields(await requester.request('get-keys', undefined, options), 'get-keys').list('keys');
}

/** Loads a shared secret, or replaces the one with this `id`. */
export async function loadShared(
  requester: Requester,
  shared: {
    /** By which it is listed and unloaded; without one it stays until `clearCredentials`. */
    readonly id?: string;
    readonly type: 'IKE' | 'EAP' | 'XAUTH' | 'NTLM' | 'PPK';
    readonly secret: KeyMaterial;
    /** Identities that it is for. Default: all. */
    readonly owners?: readonly string[];
  },
  options?: CallOptions,
): Promise<void> {
  const { id, type, secret, owners } = shared;
  await secretRequest(requester, 'load-shared', { id, type, data: secret.reveal(), owners }, options);
}

/** Harmless if it is not there. */
export async function unloadShared(requester: Requester, id: string, options?: CallOptions): Promise<void> {
  await requester.request('unload-shared', ViciMessage.of({ id }), options);
}

/** Identifiers of the shared secrets that were loaded over VICI with one. */
export async function getShared(requester: Requester, options?: CallOptions): Promise<string[]> {
  return new Fields(await requester.request('get-shared', undefined, options), 'get-shared').list('keys');
}

/** Unloads all certificates, keys and secrets that were loaded over VICI, and empties the cache of certificates. */
export async function clearCredentials(requester: Requester, options?: CallOptions): Promise<void> {
  await requester.request('clear-creds', undefined, options);
}

function secretRequest(
  requester: Requester,
  command: string,
  request: ViciFields,
  options: CallOptions | undefined,
): Promise<ViciMessage> {
  return requester.request(command, ViciMessage.of(request), { ...options, isSecret: true });
}

function keyId(reply: ViciMessage, command: string): string {
  return new Fields(reply, command).match('id', /^[0-9a-f]{40}$/, 'a SHA-1 hash in hex');
}
