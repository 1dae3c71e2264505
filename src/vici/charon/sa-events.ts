import { ViciError } from '../error.ts';
import { ViciMessage } from '../message.ts';
import { type ChildSa, parseChildSa } from './child-sa.ts';
import { type IkeSa, parseIkeSa } from './ike-sa.ts';
import type { ViciSession } from '../session.ts';

/** What happens to SAs, as charon tells it. In `up` and `down`, `ike.children` are those concerned (none with ike-updown). */
export type SaEvent =
  | { readonly type: 'ike-updown'; readonly isUp: boolean; readonly ike: IkeSa }
  | { readonly type: 'ike-rekey'; readonly name: string; readonly old: IkeSa; readonly new: IkeSa }
  | { readonly type: 'child-updown'; readonly isUp: boolean; readonly ike: IkeSa }
  | {
      readonly type: 'child-rekey';
      /** Without its children: those are `old` and `new`. */
      readonly ike: IkeSa;
      readonly old: ChildSa;
      readonly new: ChildSa;
    };

export const SA_EVENTS = ['ike-updown', 'ike-rekey', 'child-updown', 'child-rekey'] as const;

/** Parses an event of one of the SA_EVENTS. Throws ViciError `invalid`. */
export function parseSaEvent(type: SaEvent['type'], message: ViciMessage): SaEvent {
  const [name, section] = onlySection(message, type);
  const isUp = message.text('up') === 'yes';
  switch (type) {
    case 'ike-updown':
    case 'child-updown':
      return { type, isUp, ike: parseIkeSa(name, section) };
    case 'ike-rekey':
      return {
        type,
        name,
        old: parseIkeSa(name, part(section, 'old', type)),
        new: parseIkeSa(name, part(section, 'new', type)),
      };
    case 'child-rekey': {
      const [, child] = onlySection(part(section, 'child-sas', type), type);
      return {
        type,
        ike: parseIkeSa(name, withoutChildren(section)),
        old: parseChildSa(part(child, 'old', type)),
        new: parseChildSa(part(child, 'new', type)),
      };
    }
  }
}

/** Subscribes to all SA_EVENTS; call before `start`, or await it. Returns the way to stop. */
export async function subscribeSaEvents(
  session: ViciSession,
  onEvent: (event: SaEvent) => void,
): Promise<() => void> {
  const stops = await Promise.all(
    SA_EVENTS.map((type) => session.subscribe(type, (message) => onEvent(parseSaEvent(type, message)))),
  );
  return () => {
    for (const stop of stops) stop();
  };
}

/** The one section of an event, with its name. Throws ViciError `invalid`. */
export function onlySection(message: ViciMessage, type: string): [string, ViciMessage] {
  const [first] = message.sections();
  if (first === undefined) throw new ViciError('invalid', `${type}: expected a section`);
  return first;
}

function part(section: ViciMessage, key: string, type: string): ViciMessage {
  const found = section.section(key);
  if (found === undefined) throw new ViciError('invalid', `${type}.${key}: expected a section`);
  return found;
}

/** The children of a `child-rekey` are pairs, not CHILD_SAs. */
function withoutChildren(section: ViciMessage): ViciMessage {
  return section.entries.reduce(
    (copy, [key, value]) => (key === 'child-sas' ? copy : copy.append(key, value)),
    new ViciMessage(),
  );
}
