import { Crew } from '../../src/io/crew.ts';
import { chooseCryptoLibrary } from '../../src/io/crypto-library.ts';
import { EspNativeCrypto } from '../../src/io/esp-native-crypto.ts';
import { nativeCrypto } from '../../src/io/native-crypto.ts';
import { EspNodeCrypto, type EspNodeCryptoOptions } from '../../src/ipsec/esp-node-crypto.ts';
import type { PacketCryptos } from '../../src/ipsec/packet-cryptos.ts';
import type { PacketCrypto } from '../../src/ipsec/packet-crypto.ts';
import { skipBecause } from './summary-reporter.ts';

export type NewCrypto = (options: EspNodeCryptoOptions) => PacketCrypto;

/** What agents use on this machine. */
export const CRYPTOS: PacketCryptos = chooseCryptoLibrary('auto');

/** The oracle. */
export const NODE_CRYPTO: NewCrypto = (options) => new EspNodeCrypto(options);

/** Those that must do what the oracle does. */
export const NATIVE_CRYPTOS: ReadonlyMap<string, NewCrypto> = new Map(
  (['openssl', 'ipsec-mb'] as const).map((library) => [
    `esp-native-crypto with ${library}`,
    (options) => new EspNativeCrypto({ ...options, library }),
  ]),
);

const crews = new Map<number, Crew>();
/** Threads of this process, made when they are first asked for. */
export function crewOf(workers: number): Crew {
  const crew = crews.get(workers) ?? new Crew(workers);
  crews.set(workers, crew);
  return crew;
}

/** The same with the packets of a vector shared among threads. */
export const SHARED_CRYPTOS: ReadonlyMap<string, NewCrypto> = new Map(
  [2, 4].flatMap((workers) =>
    (['openssl', 'ipsec-mb'] as const).map((library) => [
      `esp-native-crypto with ${workers} workers of ${library}`,
      (options) => new EspNativeCrypto({ ...options, library, crew: crewOf(workers) }),
    ]),
  ),
);

export const PACKET_CRYPTOS: ReadonlyMap<string, NewCrypto> = new Map([
  ['esp-node-crypto', NODE_CRYPTO],
  ...NATIVE_CRYPTOS,
]);

/** The same tests for each of them, in a describe of its name. */
export function describeEach<Create>(
  cryptos: ReadonlyMap<string, Create>,
  tests: (create: Create, name: string) => void,
): void {
  for (const [name, create] of cryptos) {
    describe(name, () => {
      before(function () {
        const missing = name.endsWith('ipsec-mb') ? nativeCrypto().libraries().ipsecMbMissing : undefined;
        if (missing !== undefined) skipBecause(this, missing);
      });
      tests(create, name);
    });
  }
}
