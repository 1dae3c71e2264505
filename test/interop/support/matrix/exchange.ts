import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { byteStream } from '../../../../src/lab/byte-stream.ts';

/**
 * One TCP connection that moves a file each way: the client sends its file and closes its side, the server answers with
 * the SHA-256 of what came (hex) and with a file of the same length. Both are the lab's stream, with a label over the first
 * bytes.
 */

const MOST_BYTES = 5_000_000;
const HASH_CHARACTERS = 64;
const LABEL_BYTES = 64;

const stream = Buffer.concat([...byteStream(MOST_BYTES)]);

/** Throws if that is longer than 5 MB: a shorter file would prove less than a test says. */
export function labelledFile(label: string, lengthBytes: number): Buffer {
  if (lengthBytes > MOST_BYTES) throw new RangeError(`a file of ${lengthBytes} bytes`);
  const file = Buffer.from(stream.subarray(0, lengthBytes));
  file.write(label.padEnd(LABEL_BYTES).slice(0, LABEL_BYTES), 'latin1');
  return file;
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export interface ExchangeEnds {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
}

export interface ExchangeOptions {
  readonly label: string;
  readonly fileBytes: number;
  readonly timeoutMs: number;
}

/** Undefined if both files came through as they were sent; else what was wrong. */
export function exchange(
  ends: ExchangeEnds,
  { label, fileBytes, timeoutMs }: ExchangeOptions,
): Promise<string | undefined> {
  const { source, destination, port } = ends;
  const file = labelledFile(label, fileBytes);
  return new Promise((resolve) => {
    const socket = connect({ host: destination, port, localAddress: source });
    const received: Buffer[] = [];
    const finish = (fault: string | undefined) => {
      socket.destroy();
      clearTimeout(timer);
      resolve(fault);
    };
    const timer = setTimeout(() => finish(`no end within ${timeoutMs} ms`), timeoutMs);
    socket.once('error', (error) => finish(error.message));
    socket.once('connect', () => socket.end(file));
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.once('end', () => finish(faultIn(Buffer.concat(received), file, port)));
  });
}

function faultIn(answer: Buffer, sent: Buffer, port: number): string | undefined {
  if (answer.toString('latin1', 0, HASH_CHARACTERS) !== sha256(sent)) return 'the upload came wrong';
  const isRight = answer.subarray(HASH_CHARACTERS).equals(labelledFile(String(port), sent.length));
  return isRight ? undefined : `the download came wrong (${answer.length} bytes)`;
}
