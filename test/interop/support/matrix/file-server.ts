/**
 * The application of the matrix on a target: the server's side of exchange.ts, on every port of a range.
 *
 *   file-server FIRST COUNT ADDRESS...
 *
 * It may start before the addresses are there.
 */
import { createServer, type Socket } from 'node:net';
import { labelledFile, sha256 } from './exchange.ts';

const RETRY_MS = 200;
const [first = '0', count = '0', ...addresses] = process.argv.slice(2);

function serve(socket: Socket, port: number): void {
  const received: Buffer[] = [];
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  socket.on('end', () => {
    const file = Buffer.concat(received);
    socket.end(Buffer.concat([Buffer.from(sha256(file)), labelledFile(String(port), file.length)]));
  });
}

let left = Number(count) * addresses.length;
for (const address of addresses) {
  for (let port = Number(first); port < Number(first) + Number(count); port += 1) {
    const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, port));
    const listen = () => server.listen(port, address);
    server.on('error', () => setTimeout(listen, RETRY_MS));
    server.on('listening', () => {
      left -= 1;
      if (left === 0) console.log('all ports are open');
    });
    listen();
  }
}
