import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';
import type { ViciSession } from '../session.ts';
import { onlySection } from './sa-events.ts';
import { type IkeSa, parseIkeSa } from './ike-sa.ts';

/** Something went wrong in charon. */
export interface Alert {
  /** e.g. `peer-auth-failed`, `ts-mismatch`, `cert-expired`; the list is in strongSwan's vici/README.md, and grows. */
  readonly type: string;
  /** The IKE_SA that it is about, if any; without children. */
  readonly ike: IkeSa | undefined;
}

/** Follows `alert`, now and after every reconnect. Rejects with `unknown-event` before strongSwan 6.0.3. */
export function subscribeAlerts(session: ViciSession, onAlert: (alert: Alert) => void): Promise<() => void> {
  return session.subscribe('alert', (message) => onAlert(parseAlert(message)));
}

/** Parses an event `alert`. Throws ViciError `invalid`. */
export function parseAlert(message: ViciMessage): Alert {
  const fields = new Fields(message, 'alert');
  const ike = fields.has('ike-sa') ? onlySection(fields.section('ike-sa').message, 'alert') : undefined;
  return { type: fields.text('type'), ike: ike === undefined ? undefined : parseIkeSa(...ike) };
}
