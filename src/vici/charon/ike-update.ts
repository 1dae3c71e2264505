import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';
import type { ViciSession } from '../session.ts';
import { onlySection } from './sa-events.ts';
import { type IkeSa, parseIkeSa } from './ike-sa.ts';

/** An IKE_SA is about to get other endpoints (MOBIKE, or a NAT that mapped anew). */
export interface IkeUpdate {
  readonly localHost: string;
  readonly localPort: number;
  readonly remoteHost: string;
  readonly remotePort: number;
  /** With the endpoints of before; without children. */
  readonly ike: IkeSa;
}

/** Follows `ike-update`, now and after every reconnect. Rejects with `unknown-event` before strongSwan 5.9.2. */
export function subscribeIkeUpdates(
  session: ViciSession,
  onUpdate: (update: IkeUpdate) => void,
): Promise<() => void> {
  return session.subscribe('ike-update', (message) => onUpdate(parseIkeUpdate(message)));
}

/** Parses an event `ike-update`. Throws ViciError `invalid`. */
export function parseIkeUpdate(message: ViciMessage): IkeUpdate {
  const fields = new Fields(message, 'ike-update');
  return {
    localHost: fields.text('local-host'),
    localPort: fields.number('local-port', 0xffff),
    remoteHost: fields.text('remote-host'),
    remotePort: fields.number('remote-port', 0xffff),
    ike: parseIkeSa(...onlySection(message, 'ike-update')),
  };
}
