import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TSHARK = process.env['TSHARK'] ?? 'tshark';

export interface TsharkResult {
  /** One row a packet, one cell a field; a field that occurs twice (outer and inner) has its values joined by commas. */
  readonly rows: readonly (readonly string[])[];
  readonly stderr: string;
}

/**
 * Fields of every packet of a capture, as tshark reads them with an exported table of keys (its `esp_sa`), or without. It gets
 * a configuration folder of its own.
 */
export function tshark(
  pcap: string,
  keys: string | undefined,
  fields: readonly string[],
  filter?: string,
): TsharkResult {
  const folder = mkdtempSync(join(tmpdir(), 'dvipa-tshark-'));
  try {
    if (keys !== undefined) copyFileSync(keys, join(folder, 'esp_sa'));
    const esp = ['enable_encryption_decode', 'enable_authentication_check'];
    const options = [
      ...esp.flatMap((name) => ['-o', `esp.${name}:TRUE`]),
      ...(filter === undefined ? [] : ['-Y', filter]),
      '-n',
      '-r',
      pcap,
      '-T',
      'fields',
      ...fields.flatMap((field) => ['-e', field]),
    ];
    const run = spawnSync(TSHARK, options, {
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
      env: { ...process.env, WIRESHARK_CONFIG_DIR: folder },
    });
    if (run.status !== 0) throw new Error(`tshark: ${run.error?.message ?? run.stderr}`);
    const lines = run.stdout.split('\n').slice(0, -1);
    return { rows: lines.map((line) => line.split('\t')), stderr: run.stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
