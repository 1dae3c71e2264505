import { type Config, type ConfigChange } from '../config/index.ts';
import type { SessionTimes } from '../coupling/session.ts';
import { checkCredentials, readCredentials, type TlsCredentials } from '../io/tls-options.ts';

export interface CheckedFiles {
  readonly refused: readonly string[];
  /** Files that say something else than before, whatever their names. */
  readonly changes: readonly ConfigChange[];
  readonly credentials?: TlsCredentials;
}

/** Reads the coupling channel's certificate, key and CA again: they may have been renewed in their places. */
export async function checkFiles(
  { ca, certificate, key }: Config['coupling'],
  before: TlsCredentials,
): Promise<CheckedFiles> {
  try {
    const credentials = await readCredentials({ ca, certificate, key });
    checkCredentials(credentials);
    const other = (['ca', 'certificate', 'key'] as const).filter(
      (name) => credentials[name] !== before[name],
    );
    const changes = other.map((name) => ({
      path: `coupling.${name}`,
      from: 'the contents before',
      to: 'other contents',
      effect: 'now' as const,
    }));
    return { refused: [], changes, credentials };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { refused: [`coupling: certificate, key or ca cannot be used: ${why}`], changes: [] };
  }
}

const HELLO_TIMEOUT_MS = 5000;

export function sessionTimes({ heartbeatMs, deadAfterMs }: Config['coupling']): SessionTimes {
  return { heartbeatMs, deadAfterMs, helloTimeoutMs: HELLO_TIMEOUT_MS };
}
