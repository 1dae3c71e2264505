/** How a view may look: colour only on a terminal, and never if NO_COLOR is set (no-color.org). */
export interface Style {
  readonly hasColor: boolean;
}

export const PLAIN: Style = { hasColor: false };

export function styleFor(isTerminal: boolean, environment: NodeJS.ProcessEnv): Style {
  const noColor = environment['NO_COLOR'];
  return {
    hasColor: isTerminal && (noColor === undefined || noColor === '') && environment['TERM'] !== 'dumb',
  };
}

export type Tone = 'good' | 'waiting' | 'bad' | 'title';

const CODES: Record<Tone, string> = { good: '32', waiting: '33', bad: '31', title: '1' };

export function paint(text: string, tone: Tone | undefined, style: Style): string {
  return style.hasColor && tone !== undefined ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text;
}

/** The tone of a state's name, the same in every view. */
export function toneOf(state: string): Tone | undefined {
  if (['up', 'serving', 'confirmed', 'in-time', 'taken', 'ok'].includes(state)) return 'good';
  if (
    [
      'connecting',
      'snapshot',
      'installing',
      'rekeying',
      'tentative',
      'opening',
      'closing',
      'late',
      'waiting',
      'degraded',
    ].includes(state)
  )
    return 'waiting';
  return ['down', 'refused', 'hard-limit', 'blocked', 'failed'].includes(state) ||
    state.endsWith(', attacked')
    ? 'bad'
    : undefined;
}
