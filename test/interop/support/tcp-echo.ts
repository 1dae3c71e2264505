import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const CHUNK_BYTES = 65_536;

/** A server that sends back whatever it gets, until the process ends; or, if `isSilent`, nothing. */
export async function tcpEcho(address: string, port: number, isSilent = false): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    if (isSilent) socket.resume();
    else socket.pipe(socket);
  });
  server.listen(port, address);
  await once(server, 'listening');
}

/** Sends random bytes to an echo and resolves to whether all came back as they were, and how long that took. */
export async function tcpSend(
  address: string,
  port: number,
  bytes: number,
): Promise<{ isWhole: boolean; ms: number }> {
  const [sent, received] = [createHash('sha256'), createHash('sha256')];
  const started = performance.now();
  const socket = connect({ host: address, port });
  await once(socket, 'connect');
  socket.on('data', (chunk) => received.update(chunk));
  const ended = once(socket, 'end');
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    const chunk = randomBytes(Math.min(left, CHUNK_BYTES));
    sent.update(chunk);
    if (!socket.write(chunk)) await once(socket, 'drain');
  }
  socket.end();
  await ended;
  return { isWhole: sent.digest('hex') === received.digest('hex'), ms: performance.now() - started };
}

/** Sends zeros to a server that sends nothing back for so long, and resolves to how many bytes the network took. */
export async function tcpPour(address: string, port: number, ms: number): Promise<number> {
  const socket = connect({ host: address, port });
  await once(socket, 'connect');
  const chunk = Buffer.alloc(4 * CHUNK_BYTES);
  const until = performance.now() + ms;
  while (performance.now() < until) if (!socket.write(chunk)) await once(socket, 'drain');
  const bytes = socket.bytesWritten;
  socket.destroy();
  return bytes;
}
