import type { FastPathConfig } from '../config/fast-path.ts';
import { type CryptoAddon, chooseCryptoLibrary } from '../io/crypto-library.ts';
import type { Crew } from '../io/crew.ts';
import type { PacketCryptos } from '../ipsec/packet-cryptos.ts';
import type { Log } from '../observe/log.ts';

/** Makes the cryptography of packets as `crypto.library` says; tells which it is, and why it is not what was asked for. */
export function packetCryptos(
  { library: wanted }: FastPathConfig['crypto'],
  log: Log,
  crew?: Crew,
  load?: () => CryptoAddon,
): PacketCryptos {
  const library = chooseCryptoLibrary(wanted, load, crew);
  const { name, version, because } = library;
  const isAsWanted = because === undefined || (wanted === 'auto' && name === 'openssl');
  const fields = { library: name, version, ...(because !== undefined && { reason: because }) };
  log[isAsWanted ? 'info' : 'warn']('cryptography of packets', fields);
  return library;
}
