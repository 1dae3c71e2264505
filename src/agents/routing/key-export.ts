import type { KeysExportConfig } from '../../config/keys-export.ts';
import { formatSpi, type SecurityAssociation } from '../../ipsec/sa.ts';
import { wiresharkLine } from '../../ipsec/wireshark-sa.ts';
import type { Log } from '../../observe/log.ts';
import type { KeysExportSnapshot } from '../../observe/snapshots.ts';
import { algorithmName } from '../algorithm-name.ts';

const TWO_32 = 2 ** 32;
const HEAD = `# Keys of ESP SAs for Wireshark: this is its table esp_sa. Whoever reads it reads the traffic: delete it when done.\n`;

/** Of the routing host's SAs (`RoutingSas`) what an export reads. */
export interface ExportedSas {
  readonly inbound: {
    values(): Iterable<{ readonly sa: SecurityAssociation; readonly owners: { readonly top: bigint } }>;
  };
  readonly outbound: {
    values(): Iterable<{
      readonly sa: SecurityAssociation;
      readonly numbering: { readonly nextSequence: number };
    }>;
  };
}

/** The admin command's name. */
export const KEYS_EXPORT = 'keys-export';

export interface KeyExportParts {
  /** `keys_export` of the configuration that runs; undefined: refused. */
  readonly config: () => KeysExportConfig | undefined;
  readonly sas: ExportedSas;
  readonly log: Log;
  /** Writes the file; its bytes are wiped afterwards. */
  readonly write: (file: string, bytes: Buffer) => Promise<void>;
}

/**
 * The admin command that writes the keys of every SA to the configured file, in Wireshark's form; the answer has no key.
 * Every request leaves an audit line, one that is refused too.
 */
export function keyExport(parts: KeyExportParts): () => Promise<KeysExportSnapshot> {
  const { sas, log, write } = parts;
  const auditOf = (path?: string) => ({ part: 'admin socket', command: 'keys export', path });
  const allowed = parts.config();
  if (allowed !== undefined) log.warn('key export is allowed', { path: allowed.file });
  let last: Promise<unknown> = Promise.resolve();
  const run = async (file: string): Promise<KeysExportSnapshot> => {
    const audit = auditOf(file);
    const table = wiresharkTable(sas);
    try {
      await write(file, table.bytes);
    } catch (error) {
      log.warn('key export failed', { ...audit, error });
      throw new Error(`keys_export: ${file}: ${reasonOf(error)}`, { cause: error });
    } finally {
      table.bytes.fill(0);
    }
    const { count, leftOut } = table;
    log.warn('keys exported', { ...audit, sas: count, count: leftOut.length, event: 'keys-exported' });
    return { file, sas: count, leftOut };
  };
  return async () => {
    const config = parts.config();
    if (config === undefined) {
      log.warn('key export refused', { ...auditOf(), reason: 'not-configured' });
      throw new Error(
        'key export is off; to allow it, set keys_export: { file: PATH } in the configuration of this agent',
      );
    }
    // One at a time: two writers would take each other's file away.
    const mine = last.then(() => run(config.file));
    last = mine.catch(() => {});
    return mine;
  };
}

interface WiresharkTable {
  readonly bytes: Buffer;
  readonly count: number;
  readonly leftOut: KeysExportSnapshot['leftOut'];
}

/** Lines for all SAs; for one that Wireshark cannot read, a comment. */
function wiresharkTable(sas: ExportedSas): WiresharkTable {
  const lines: Buffer[] = [Buffer.from(HEAD)];
  const leftOut: { spi: string; algorithm: string; reason: string }[] = [];
  let count = 0;
  for (const { sa, high } of withUpperHalf(sas)) {
    const written = wiresharkLine(sa, high);
    if (written.ok) {
      lines.push(written.line);
      count++;
      continue;
    }
    const left = { spi: formatSpi(sa.spi), algorithm: algorithmName(sa), reason: written.reason };
    leftOut.push(left);
    lines.push(Buffer.from(`# ${left.spi} ${left.algorithm}: ${left.reason}\n`));
  }
  const bytes = Buffer.concat(lines);
  for (const line of lines) line.fill(0);
  return { bytes, count, leftOut };
}

/** Each SA with the upper half of the sequence numbers in use now. */
function* withUpperHalf(sas: ExportedSas): Iterable<{ sa: SecurityAssociation; high: number }> {
  for (const { sa, owners } of sas.inbound.values()) yield { sa, high: Number(owners.top >> 32n) };
  for (const { sa, numbering } of sas.outbound.values()) {
    yield { sa, high: Math.floor(Math.max(numbering.nextSequence - 1, 0) / TWO_32) };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && error.code === 'ENOENT' ? 'no such folder' : error.message;
}
