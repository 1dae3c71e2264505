import type { ConnectionKey } from '../connections/connection-key.ts';
import type { FlowRecord } from '../coupling/records.ts';
import { formatAddress, parseAddress } from '../packet/address.ts';

export function flowRecord(key: ConnectionKey): FlowRecord {
  const { group, protocol, sourcePort, destinationPort } = key;
  const [dvipa, source] = [formatAddress(key.dvipa), formatAddress(key.source)];
  return { dvipa, group, protocol, source, sourcePort, destinationPort };
}

/** Undefined: an address is none that packets have. */
export function connectionKeyOf(flow: FlowRecord): ConnectionKey | undefined {
  const dvipa = parseAddress(flow.dvipa);
  const source = parseAddress(flow.source);
  if (dvipa === undefined || source === undefined) return undefined;
  const { group, protocol, sourcePort, destinationPort } = flow;
  return { dvipa, group, protocol, source, sourcePort, destinationPort };
}
