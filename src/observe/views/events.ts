import type { EventItem } from '../event-item.ts';
import { cleanFields, cleanText, fieldPairs } from '../fields.ts';
import { paint, type Style } from './style.ts';

const NAME_WIDTH = 18;

/** One line for each event. */
export function renderEvent(item: EventItem, style: Style): string {
  if ('lost' in item) return `${paint(`(${item.lost} events are no longer kept)`, 'bad', style)}\n`;
  const { seq, time, event, level, message, fields } = item;
  const tone = level === 'error' ? 'bad' : level === 'warn' ? 'waiting' : undefined;
  const name = paint(cleanText(event).padEnd(NAME_WIDTH), tone, style);
  return `${cleanText(time)} ${String(seq).padStart(6)} ${name} ${cleanText(message)}${fieldPairs(cleanFields(fields))}\n`;
}
