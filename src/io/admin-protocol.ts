/**
 * The admin socket's protocol: lines of JSON over an AF_UNIX stream. A request is
 * `{"command": text, "args": {...}}`, the answer `{"ok": true, "answer": ...}` or `{"ok": false, "error": text}`,
 * one line each, in the order of the requests. A command that goes on answers any number of
 * `{"ok": true, "item": ...}`, and `{"ok": true, "end": true}` when no more will come; whoever has enough closes.
 */

export const MAX_REQUEST_BYTES = 64 * 1024;
/** Room for a full connection table; the client gives up beyond it. */
export const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
export const MAX_CLIENTS = 16;
/** A connection on which nothing moves for so long is closed. */
export const IDLE_TIMEOUT_MS = 10_000;

export type AdminArguments = Readonly<Record<string, unknown>>;

export type AdminAnswer =
  | { readonly ok: true; readonly answer: unknown }
  | { readonly ok: true; readonly item: unknown }
  | { readonly ok: true; readonly end: true }
  | { readonly ok: false; readonly error: string };

/** One line. 64-bit numbers become decimal text: JSON has none. */
export function encodeLine(message: object): string {
  return `${JSON.stringify(message, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))}\n`;
}

export interface AdminRequest {
  readonly command: string;
  readonly args: AdminArguments;
}

/** A request, or undefined if the line is not one. */
export function parseRequest(line: string): AdminRequest | undefined {
  const value = parseObject(line);
  if (value === undefined) return undefined;
  const { command, args = {} } = value;
  if (typeof command !== 'string' || command.length > 64 || !isObject(args)) return undefined;
  return { command, args };
}

/** An answer, or undefined if the line is not one. */
export function parseAnswer(line: string): AdminAnswer | undefined {
  const value = parseObject(line);
  if (value === undefined) return undefined;
  if (value['ok'] === true && Object.hasOwn(value, 'answer')) return { ok: true, answer: value['answer'] };
  if (value['ok'] === true && Object.hasOwn(value, 'item')) return { ok: true, item: value['item'] };
  if (value['ok'] === true && value['end'] === true) return { ok: true, end: true };
  if (value['ok'] === false && typeof value['error'] === 'string')
    return { ok: false, error: value['error'] };
  return undefined;
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Cuts a byte stream into lines. More than `maxBytes` without a line end: `overflow`, and nothing after it counts. */
export class LineSplitter {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #length = 0;
  #isOverflown = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get isOverflown(): boolean {
    return this.#isOverflown;
  }

  /** The lines that `chunk` completes, without their ends. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    while (!this.#isOverflown) {
      const end = chunk.indexOf(0x0a, start);
      const part = chunk.subarray(start, end === -1 ? undefined : end);
      if (this.#length + part.length > this.#maxBytes) {
        this.#isOverflown = true;
        this.#parts = [];
        break;
      }
      this.#parts.push(part);
      this.#length += part.length;
      if (end === -1) break;
      lines.push(Buffer.concat(this.#parts).toString('utf8'));
      this.#parts = [];
      this.#length = 0;
      start = end + 1;
    }
    return lines;
  }
}
