import { fstatSync } from 'node:fs';
import winston from 'winston';
import { cleanFields, cleanText, fieldPairs, type LogFields } from './fields.ts';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** A fixed text plus named fields; never one call per packet. */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** The same log, with these fields in every line. */
  child(fields: LogFields): Log;
}

export interface ClosableLog extends Log {
  /** Another level, form or file from the next line on; lines that were written before come out as they were. */
  configure(settings: LogSettings): void;
  /** Resolves when every line is written. */
  close(): Promise<void>;
}

export interface LogSettings {
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  /** A file besides the stream; made with mode 0640, rotated at 10 MB, 5 kept. */
  readonly file?: string | undefined;
}

export interface LogOptions extends LogSettings {
  /** Where lines go: standard error unless told. */
  readonly stream?: NodeJS.WritableStream;
  /** systemd's journal reads the stream: `<N>` priorities (sd-daemon(3)), no time of our own. */
  readonly isJournal?: boolean;
}

const PRIORITY: Record<LogLevel, number> = { error: 3, warn: 4, info: 6, debug: 7 };

export function createLog(options: LogOptions): ClosableLog {
  const logger = winston.createLogger({
    levels: { error: 0, warn: 1, info: 2, debug: 3 },
    level: options.level,
    transports: transportsOf(options),
  });
  return {
    ...logOn(logger, {}),
    configure: (settings) => {
      const before = [...logger.transports];
      logger.level = settings.level;
      for (const transport of transportsOf({ ...options, ...settings, file: settings.file }))
        logger.add(transport);
      for (const transport of before) logger.remove(transport);
    },
    close: () =>
      new Promise((resolve) => {
        logger.on('finish', resolve);
        logger.end();
      }),
  };
}

function transportsOf({ format, file: filename, stream, isJournal = false }: LogOptions) {
  const { combine, timestamp, printf } = winston.format;
  const line = format === 'json' ? jsonLine : textLine;
  const render = (isJournal: boolean) =>
    combine(
      timestamp(),
      printf(
        (entry) => `${isJournal ? `<${PRIORITY[entry.level as LogLevel]}>` : ''}${line(entry, isJournal)}`,
      ),
    );
  const toStream = new winston.transports.Stream({
    stream: stream ?? process.stderr,
    format: render(isJournal),
  });
  if (filename === undefined) return [toStream];
  const file = new winston.transports.File({
    filename,
    options: { flags: 'a', mode: 0o640 },
    maxsize: 10_000_000,
    maxFiles: 5,
    format: render(false),
  });
  // A full disk must not take the agent down.
  file.on('error', (error: Error) => process.stderr.write(`log file: ${cleanText(error.message)}\n`));
  return [toStream, file];
}

function logOn(logger: winston.Logger, common: LogFields): Log {
  const write = (level: LogLevel) => (message: string, fields?: LogFields) => {
    logger.log({ level, message: cleanText(message), fields: cleanFields({ ...common, ...fields }) });
  };
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: (fields) => logOn(logger, { ...common, ...fields }),
  };
}

type Entry = winston.Logform.TransformableInfo;

function jsonLine(entry: Entry): string {
  const { timestamp, level, message, fields } = entry as Entry & { fields?: object; timestamp?: string };
  return JSON.stringify({ time: timestamp, level, message, ...fields });
}

function textLine(entry: Entry, isJournal: boolean): string {
  const { timestamp, level, message, fields } = entry as Entry & { fields?: object; timestamp?: string };
  const head = isJournal ? '' : `${timestamp} ${level.padEnd(5)} `;
  return `${head}${String(message)}${fieldPairs(fields ?? {})}`;
}

/** True if standard error is the journal's own socket: systemd sets JOURNAL_STREAM to its device and inode. */
export function isJournalStream(environment: NodeJS.ProcessEnv, descriptor = 2): boolean {
  const given = environment['JOURNAL_STREAM'];
  if (given === undefined) return false;
  try {
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    return given === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
