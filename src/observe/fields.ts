import type { EventName } from './events.ts';

/**
 * The only names a log line may carry besides its fixed text. A field that is not here does not reach the log,
 * so nothing secret can slip in under a new name; operators may rely on the spelling.
 */
export const LOG_FIELDS = [
  // who and where
  'role',
  'host',
  'version',
  'part',
  'interface',
  'address',
  'port',
  'path',
  'pid',
  // IPsec
  'dvipa',
  'endpoint',
  'peer',
  'sa',
  'spi',
  'direction',
  'reqid',
  'algorithm',
  'ike',
  'child',
  'policy',
  'sequence',
  'hard',
  'bytes',
  'packets',
  'limit',
  'percentage',
  // cluster
  'target',
  'router',
  'epoch',
  'incarnation',
  'instance',
  'state',
  'way',
  'senderId',
  'lease',
  'ports',
  'leased',
  'kind',
  'record',
  'connections',
  'sas',
  'driver',
  'gso',
  'gro',
  'offload',
  'library',
  'workers',
  'asked',
  // what happened
  'event',
  'reason',
  'error',
  'code',
  'signal',
  'command',
  'count',
  'mtu',
  'attempt',
  'delayMs',
  'durationMs',
  'uptimeMs',
] as const;

export type LogField = (typeof LOG_FIELDS)[number];

export type LogValue = string | number | bigint | boolean | null | undefined;

/**
 * `error` takes whatever was thrown; its message and code are logged, not its stack. `event` makes the line an event
 * (`recordingLog`).
 */
export type LogFields = { readonly [Field in Exclude<LogField, 'error' | 'event'>]?: LogValue } & {
  readonly error?: unknown;
  readonly event?: EventName | undefined;
};

type CleanValue = string | number | boolean | null;

const MAX_TEXT = 300;
const allowed = new Set<string>(LOG_FIELDS);

/** Keeps the allowed fields, and of those only plain values: bytes, objects and keys become `<redacted>`. */
export function cleanFields(fields: object): Record<string, CleanValue> {
  const clean: Record<string, CleanValue> = {};
  for (const [name, value] of Object.entries(fields) as [string, unknown][]) {
    if (!allowed.has(name) || value === undefined) continue;
    clean[name] = cleanValue(value);
  }
  return clean;
}

function cleanValue(value: unknown): CleanValue {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return cleanText(value);
  if (value instanceof Error) return cleanText(errorText(value));
  return '<redacted>';
}

function errorText(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`;
}

/** One line, no terminal codes: what a peer chose (a name in a certificate) may end up here. */
export function cleanText(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
  return cut.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** ` name=value` for each field. */
export function fieldPairs(fields: object): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${textValue(value)}`)
    .join('');
}

function textValue(value: unknown): string {
  const text = String(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
