import { readFileSync } from 'node:fs';
import type { DropReason } from '../base/verdict.ts';

/** What docs/drops.md says of a reason; undefined where the documentation is not installed beside the program. */
export function dropMeaning(reason: DropReason): string | undefined {
  let text: string;
  try {
    text = readFileSync(new URL('../../docs/drops.md', import.meta.url), 'utf8');
  } catch {
    return undefined;
  }
  const row = text.split('\n').find((line) => line.startsWith(`| \`${reason}\` |`));
  // Links of the page lead nowhere on a terminal.
  return row
    ?.split(' | ')[2]
    ?.replace(/ \|$/, '')
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}
