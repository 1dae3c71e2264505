import { cleanText } from '../fields.ts';
import type { HealthSnapshot } from '../health.ts';
import { paint, type Style, toneOf } from './style.ts';

/** `: this; that`, the worst first; empty if there is nothing to say. */
export function reasonsOf({ warnings }: HealthSnapshot): string {
  return warnings.length === 0 ? '' : `: ${warnings.map(({ text }) => text).join('; ')}`;
}

/** One line. */
export function renderHealth(health: HealthSnapshot, style: Style): string {
  return `${paint(health.state, toneOf(health.state), style)}${cleanText(reasonsOf(health))}\n`;
}
