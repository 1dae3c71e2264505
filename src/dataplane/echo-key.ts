import type { ConnectionKey } from '../connections/connection-key.ts';

/** In place of the peer's port, which no other key of ICMP has: an echo that a target asks for. */
const ECHO = 8;

/** The rest of the key of an echo request from the DVIPA and of its replies: the identifier stands where the DVIPA's port does. */
export function echoKey(key: ConnectionKey, protocol: number, identifier: number): ConnectionKey {
  key.protocol = protocol;
  key.sourcePort = ECHO;
  key.destinationPort = identifier;
  return key;
}
