import type { CallOptions } from '../call.ts';
import type { Requester } from '../connection.ts';
import type { ViciMessage } from '../message.ts';

export interface Algorithm {
  /** e.g. `AES_CBC`. */
  readonly name: string;
  /** The plugin that has it, e.g. `openssl`. */
  readonly plugin: string;
}

/** What charon can compute, by purpose; an algorithm is there once for each plugin that has it. */
export interface Algorithms {
  readonly encryption: readonly Algorithm[];
  readonly integrity: readonly Algorithm[];
  readonly aead: readonly Algorithm[];
  readonly hasher: readonly Algorithm[];
  readonly prf: readonly Algorithm[];
  readonly xof: readonly Algorithm[];
  /** From 5.9.6 on. */
  readonly kdf: readonly Algorithm[];
  readonly drbg: readonly Algorithm[];
  /** `dh` up to 5.9, `ke` from 6.0 on. */
  readonly keyExchange: readonly Algorithm[];
  readonly rng: readonly Algorithm[];
  readonly nonceGenerator: readonly Algorithm[];
  /** The reply as it came. */
  readonly message: ViciMessage;
}

export async function getAlgorithms(requester: Requester, options?: CallOptions): Promise<Algorithms> {
  const message = await requester.request('get-algorithms', undefined, options);
  return {
    encryption: algorithms(message, 'encryption'),
    integrity: algorithms(message, 'integrity'),
    aead: algorithms(message, 'aead'),
    hasher: algorithms(message, 'hasher'),
    prf: algorithms(message, 'prf'),
    xof: algorithms(message, 'xof'),
    kdf: algorithms(message, 'kdf'),
    drbg: algorithms(message, 'drbg'),
    keyExchange: [...algorithms(message, 'ke'), ...algorithms(message, 'dh')],
    rng: algorithms(message, 'rng'),
    nonceGenerator: algorithms(message, 'nonce-gen'),
    message,
  };
}

function algorithms(message: ViciMessage, purpose: string): Algorithm[] {
  const entries = message.section(purpose)?.entries ?? [];
  return entries.flatMap(([name, plugin]) =>
    Buffer.isBuffer(plugin) ? [{ name, plugin: plugin.toString('utf8') }] : [],
  );
}
