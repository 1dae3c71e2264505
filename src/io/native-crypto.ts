import { fileURLToPath } from 'node:url';
import nodeGypBuild from 'node-gyp-build';

/** The functions of `plugins/node/packet-crypto` (see the README there). */
export interface NativeCrypto {
  /** Name and version of the OpenSSL that does the work: node's own. */
  libraries(): { readonly openssl: string };
}

let loaded: NativeCrypto | undefined;

/** Loads the addon once; throws with the way to build it if it is not there. */
export function nativeCrypto(): NativeCrypto {
  const folder =
    process.env['DVIPA_PACKET_CRYPTO'] ??
    fileURLToPath(new URL('../../plugins/node/packet-crypto', import.meta.url));
  try {
    loaded ??= nodeGypBuild(folder) as NativeCrypto;
  } catch (cause) {
    throw new Error(`the addon packet-crypto is not built (scripts/build-addons): ${folder}`, { cause });
  }
  return loaded;
}
