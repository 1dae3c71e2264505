import type { ConnectionKey } from '../connections/connection-key.ts';
import { ADDRESS_WORDS, copyAddress } from '../packet/address.ts';
import type { PacketVector } from './vector.ts';

/** Fills `key` with the connection of inner packet `i`, whose headers were read, as seen from the peer in both directions. */
export function readFlowKey(
  key: ConnectionKey,
  vector: PacketVector,
  i: number,
  isInbound: boolean,
  group: number,
): ConnectionKey {
  const words = i * ADDRESS_WORDS;
  key.group = group;
  key.protocol = vector.protocol[i] as number;
  copyAddress(isInbound ? vector.innerDestination : vector.innerSource, words, key.dvipa, 0);
  copyAddress(isInbound ? vector.innerSource : vector.innerDestination, words, key.source, 0);
  key.sourcePort = (isInbound ? vector.sourcePort : vector.destinationPort)[i] as number;
  key.destinationPort = (isInbound ? vector.destinationPort : vector.sourcePort)[i] as number;
  return key;
}
