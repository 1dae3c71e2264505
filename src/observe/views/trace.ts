import { dropMeaning } from '../drop-meanings.ts';
import { cleanText } from '../fields.ts';
import type { TraceSnapshot } from '../trace-snapshot.ts';
import { paint, type Style } from './style.ts';

const OUTCOMES: Readonly<Record<string, string>> = {
  'open-here': 'opened on the routing host, which then knows whether it is genuine',
  deliver: 'delivered to the application',
  send: 'sealed and sent to the peer',
  stamp: 'sealed, and sent by way of the routing host, which stamps it',
  funnel: 'sent by way of the routing host, which seals it',
  wait: 'held until something else happens',
  apart: 'judged on a way that is not traced',
};

/** One line a step, and what becomes of the packet. */
export function renderTrace({ role, way, steps, outcome }: TraceSnapshot, style: Style): string {
  const lines = steps.map(({ step, verdict, reason, detail }) => {
    const tone = verdict === 'pass' ? 'good' : verdict === 'drop' ? 'bad' : 'waiting';
    const word = verdict === 'pass' ? 'pass' : (reason ?? '->');
    const head = `${step.padEnd(14)}${paint(word, tone, style)}${' '.repeat(Math.max(1, 24 - word.length))}`;
    return `${head}${cleanText(detail)}`;
  });
  const end = [`${role}, ${way}: ${endOf(outcome)}`];
  const meaning = outcome.reason === undefined ? undefined : dropMeaning(outcome.reason);
  if (meaning !== undefined) end.push(`  ${meaning}`);
  return `${[...lines, ...end].join('\n')}\n`;
}

function endOf({ kind, reason, target }: TraceSnapshot['outcome']): string {
  if (kind === 'drop') return `dropped as ${reason}`;
  if (kind === 'dispatch') return `goes to ${target}`;
  return OUTCOMES[kind] ?? kind;
}
