import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';
import type { ViciSession } from '../session.ts';

/** A line of charon's log. */
export interface LogLine {
  /** Subsystem, e.g. `IKE`, `CFG`, `NET`. */
  readonly group: string;
  /** 0 (always said) to 4 (with secrets); of `log` events 0 or 1. */
  readonly level: number;
  readonly text: string;
  /** The worker thread; of `log` events only. */
  readonly thread: number | undefined;
  /** The IKE_SA that it is about, if any. */
  readonly ike: { readonly name: string; readonly uniqueId: number } | undefined;
}

/** Parses an event `log` or `control-log`. Throws ViciError `invalid`. */
export function parseLogLine(message: ViciMessage): LogLine {
  const fields = new Fields(message, 'log');
  const name = message.text('ikesa-name');
  return {
    group: fields.text('group'),
    level: fields.number('level', 4),
    text: fields.text('msg'),
    thread: fields.optionalNumber('thread'),
    ike: name === undefined ? undefined : { name, uniqueId: fields.number('ikesa-uniqueid') },
  };
}

/** Follows charon's log, levels 0 and 1, from now on and after every reconnect. Returns the way to stop. */
export function subscribeLog(session: ViciSession, onLine: (line: LogLine) => void): Promise<() => void> {
  return session.subscribe('log', (message) => onLine(parseLogLine(message)));
}
