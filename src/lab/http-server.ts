/**
 * The application of the lab's targets: knows nothing of IPsec, only listens on the DVIPA.
 *
 *   node http-server NAME ADDRESS [PORT]
 *   GET /                       NAME, then the peer's address as the application sees it
 *   GET /bytes/COUNT?marker=M   a fixed stream (see byte-stream.ts); with &rate=R at most R bytes in a second, evenly
 *   GET /sha256/COUNT?marker=M  its SHA-256
 *
 * It may start before the DVIPA is there: it tries again until it can bind.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { byteStream, byteStreamSha256 } from './byte-stream.ts';

const RETRY_MS = 100;
const MAX_BYTES = 4 * 1024 ** 3;
/** About two segments: what is paced must not come in bursts. */
const PACED_BYTES = 2_600;

const [name = 'nobody', address = '127.0.0.1', port = '80'] = process.argv.slice(2);

async function* paced(stream: Iterable<Buffer>, bytesPerSecond: number): AsyncGenerator<Buffer> {
  const startedAt = performance.now();
  let sent = 0;
  for (const chunk of stream) {
    for (let at = 0; at < chunk.length; at += PACED_BYTES) {
      const waitMs = startedAt + (sent / bytesPerSecond) * 1000 - performance.now();
      if (waitMs > 1) await sleep(waitMs);
      const piece = chunk.subarray(at, at + PACED_BYTES);
      sent += piece.length;
      yield piece;
    }
  }
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://lab');
  const marker = url.searchParams.get('marker') ?? '';
  const rate = Number(url.searchParams.get('rate') ?? Number.NaN);
  const [, what = '', countText = ''] = url.pathname.split('/');
  const count = /^\d{1,10}$/.test(countText) ? Number(countText) : Number.NaN;
  response.setHeader('x-dvipa-host', name);
  if (what === '') {
    response.end(`${name} ${request.socket.remoteAddress ?? '?'}\n`);
  } else if (what === 'bytes' && count <= MAX_BYTES && marker.length <= 64) {
    response.setHeader('content-length', count);
    const stream = byteStream(count, marker);
    pipeline(Readable.from(rate > 0 ? paced(stream, rate) : stream), response, () => {});
  } else if (what === 'sha256' && count <= MAX_BYTES && marker.length <= 64) {
    response.end(`${byteStreamSha256(count, marker)}\n`);
  } else {
    response.statusCode = 404;
    response.end('not found\n');
  }
}

const server = createServer(answer);
server.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EADDRNOTAVAIL') throw error;
  setTimeout(listen, RETRY_MS);
});
server.on('listening', () => console.log(`${name} listens on ${address}:${port}`));

function listen(): void {
  server.listen(Number(port), address);
}

listen();
