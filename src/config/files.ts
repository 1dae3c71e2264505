import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { type ConfigDocument, MAX_FILE_BYTES } from './document.ts';
import { ConfigError, type ConfigProblem } from './problem.ts';
import type { CouplingConfig } from './shared.ts';
import { placeIn } from './yaml-nesting.ts';

/** Reads a configuration file as UTF-8. Throws `ConfigError`. */
export function readConfigFile(file: string): string {
  const refuse = (message: string) => new ConfigError([{ file, line: 0, column: 0, path: '', message }]);
  let bytes: Buffer;
  try {
    const status = statSync(file);
    if (!status.isFile()) throw refuse('not a regular file, expected a YAML file');
    if (status.size > MAX_FILE_BYTES) throw refuse(`too large, expected at most ${MAX_FILE_BYTES} bytes`);
    bytes = readFileSync(file);
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw refuse(`cannot be read: ${reasonOf(cause)}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const message = 'not UTF-8 text, expected a YAML file';
    throw new ConfigError([{ file, ...firstNonUtf8(bytes), path: '', message }]);
  }
}

/** Place of the first bytes that are no UTF-8. */
function firstNonUtf8(bytes: Buffer): { line: number; column: number } {
  // What is none becomes a character of three bytes.
  const again = Buffer.from(bytes.toString('utf8'));
  const at = bytes.findIndex((byte, i) => byte !== again[i]);
  const before = bytes.toString('utf8', 0, at);
  return placeIn(before, before.length);
}

/** Looks at the files that the configuration names; a key that others may read is refused. */
export function fileProblems(coupling: CouplingConfig, document: ConfigDocument): ConfigProblem[] {
  return (['ca', 'certificate', 'key'] as const).flatMap((name) => {
    const fault = faultOf(coupling[name], name === 'key');
    return fault === undefined ? [] : [document.problem(['coupling', name], `${coupling[name]} ${fault}`)];
  });
}

function faultOf(file: string, isSecret: boolean): string | undefined {
  try {
    const status = statSync(file);
    if (!status.isFile()) return 'is not a regular file, expected a PEM file';
    if (isSecret && (status.mode & 0o007) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
      return `has mode ${mode}, expected a key that others cannot read (0600)`;
    }
    accessSync(file, constants.R_OK);
    return undefined;
  } catch (cause) {
    return `cannot be read: ${reasonOf(cause)}, expected a PEM file`;
  }
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  return typeof code === 'string' ? code : String(cause);
}
