import { randomBytes } from 'node:crypto';
import { EspNodeCrypto } from '../ipsec/esp-node-crypto.ts';
import type { PacketCryptos } from '../ipsec/packet-cryptos.ts';
import { LinkNodeCipher } from '../ipsec/link-node-cipher.ts';
import { PeekNodeCipher } from '../ipsec/peek-node-cipher.ts';
import { StampNodeCrypto } from '../ipsec/stamp-node-crypto.ts';
import { StampSealer } from '../ipsec/stamp-sealer.ts';
import type { Crew } from './crew.ts';
import { EspNativeCrypto } from './esp-native-crypto.ts';
import { LinkNativeCipher } from './link-native-cipher.ts';
import { NativeMasker, NativeMasks } from './native-masker.ts';
import { NativePeek } from './native-peek.ts';
import { NativeStamper } from './native-stamper.ts';
import { type CryptoLibraries, type NativeCrypto, nativeCrypto } from './native-crypto.ts';

/** From the fastest to the plainest. */
export type CryptoLibraryName = 'ipsec-mb' | 'openssl' | 'node';

export interface CryptoLibrary extends PacketCryptos {
  readonly name: CryptoLibraryName;
  readonly version: string;
  /** Why it is not a faster one; undefined if nothing faster was asked for, or there is none. */
  readonly because?: string;
}

/** Of the addon, what a choice needs. */
export type CryptoAddon = Pick<NativeCrypto, 'libraries'>;

/**
 * The one that was asked for, or what comes next where that is not there; `auto` asks for the fastest. `crew`: who shares the packets
 * of a vector, but for `node`, which works alone.
 */
export function chooseCryptoLibrary(
  wanted: CryptoLibraryName | 'auto',
  load: () => CryptoAddon = nativeCrypto,
  crew?: Crew,
): CryptoLibrary {
  if (wanted === 'node') return node();
  let libraries: CryptoLibraries;
  try {
    libraries = load().libraries();
  } catch (error) {
    return { ...node(), because: (error as Error).message };
  }
  const { openssl, ipsecMb, ipsecMbMissing } = libraries;
  if (wanted !== 'openssl' && ipsecMb !== undefined) return native('ipsec-mb', ipsecMb, crew);
  const because = wanted === 'openssl' ? undefined : ipsecMbMissing;
  return { ...native('openssl', openssl, crew), ...(because !== undefined && { because }) };
}

function node(): CryptoLibrary {
  return {
    name: 'node',
    version: process.versions['openssl'] ?? 'unknown',
    newCrypto: () => new EspNodeCrypto({ randomBytes }),
    newPeekCipher: () => new PeekNodeCipher(),
    newStampCrypto: () => new StampNodeCrypto(),
    newMaskers: () => (_saSlot, options) => new StampSealer(options),
    newLinkCipher: (key) => new LinkNodeCipher(key),
  };
}

function native(library: 'openssl' | 'ipsec-mb', version: string, crew: Crew | undefined): CryptoLibrary {
  return {
    name: library,
    version,
    newCrypto: () => new EspNativeCrypto({ library, randomBytes, crew }),
    newPeekCipher: () => new NativePeek(),
    newStampCrypto: () => new NativeStamper(),
    newMaskers: () => {
      const masks = new NativeMasks();
      return (saSlot, options) => new NativeMasker(masks, saSlot, options);
    },
    newLinkCipher: (key) => new LinkNativeCipher(library, key, crew),
  };
}
