/**
 * Both ends of a hashed transfer over TCP; knows nothing of IPsec.
 *
 *   hashed-load.ts serve PORT                        a line `u` or `d BYTES`, then what it says
 *   hashed-load.ts up|down ADDRESS PORT BYTES        moves them; prints {"bytes","seconds","sha256ok"}
 *
 * Up: the client sends to the end of its side, the server answers with the SHA-256 of what came. Down: the server sends them and then their
 * SHA-256. The bytes are random, with their position in each block of 4 KiB, so that nothing can be in another's place.
 */
import { createHash, randomFillSync } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';

const BLOCK = 4096;
const CHUNK = 256 * 1024;
const DIGEST_BYTES = 64;

/** Sends so many bytes. Resolves with their SHA-256, in hex. */
async function sendAll(socket: Socket, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  const random = randomFillSync(Buffer.alloc(CHUNK));
  for (let sent = 0; sent < bytes; sent += CHUNK) {
    const chunk = Buffer.from(random.subarray(0, Math.min(CHUNK, bytes - sent)));
    for (let at = 0; at + 8 <= chunk.length; at += BLOCK) chunk.writeBigUInt64BE(BigInt(sent + at), at);
    hash.update(chunk);
    if (!socket.write(chunk)) await drained(socket);
  }
  return hash.digest('hex');
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.off('drain', settle);
      socket.off('close', settle);
      if (socket.destroyed) reject(new Error('the connection broke off'));
      else resolve();
    };
    socket.on('drain', settle);
    socket.on('close', settle);
  });
}

function serve(port: number): void {
  createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    void answer(socket).catch(() => socket.destroy());
  }).listen(port);
}

async function answer(socket: Socket): Promise<void> {
  const hash = createHash('sha256');
  let line = '';
  // The other half is still wanted when this one ends.
  for await (const data of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (line.endsWith('\n')) {
      hash.update(data);
      continue;
    }
    const end = data.indexOf(10);
    line += data.subarray(0, end + 1 || undefined).toString('latin1');
    if (end < 0) continue;
    if (line.startsWith('d ')) {
      socket.end(await sendAll(socket, Number(line.slice(2))));
      return;
    }
    hash.update(data.subarray(end + 1));
  }
  socket.end(hash.digest('hex'));
}

async function up(socket: Socket, bytes: number): Promise<boolean> {
  socket.write('u\n');
  const sent = await sendAll(socket, bytes);
  socket.end();
  let said = '';
  for await (const data of socket as AsyncIterable<Buffer>) said += data.toString('latin1');
  return said === sent;
}

async function down(socket: Socket, bytes: number): Promise<boolean> {
  socket.write(`d ${bytes}\n`);
  const hash = createHash('sha256');
  let missing = bytes;
  let said = '';
  for await (const data of socket as AsyncIterable<Buffer>) {
    const part = data.subarray(0, missing);
    hash.update(part);
    missing -= part.length;
    said += data.subarray(part.length).toString('latin1');
  }
  return missing === 0 && said.length === DIGEST_BYTES && said === hash.digest('hex');
}

const [what = '', ...rest] = process.argv.slice(2);
if (what === 'serve') serve(Number(rest[0]));
else {
  const [address = '', port = '', bytes = ''] = rest;
  const socket = connect({ host: address, port: Number(port), allowHalfOpen: true, noDelay: true });
  socket.setTimeout(30_000, () => socket.destroy(new Error('nothing moves any more')));
  const startedAt = performance.now();
  const move = what === 'up' ? up : down;
  const sha256ok = await move(socket, Number(bytes)).catch((error: unknown) => {
    console.error(String(error));
    return false;
  });
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(JSON.stringify({ bytes: Number(bytes), seconds, sha256ok }));
}
