/**
 * Both ends of what the cluster bench does over TCP; knows nothing of IPsec.
 *
 *   tcp-load.ts serve PORT                           answers each connection by its first byte: u takes all, d sends until it is closed, e echoes
 *   tcp-load.ts up|down ADDRESS PORT CONNECTIONS S   moves bytes for S seconds; prints {"bytes","seconds"}
 *   tcp-load.ts connect ADDRESS PORT PARALLEL S      new connections, each with one byte there and back; prints {"connections","failed","seconds"}
 *   tcp-load.ts echo ADDRESS PORT COUNT              64 bytes there and back on one connection; prints {"ms": [...]}, sorted
 */
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const CHUNK = Buffer.alloc(256 * 1024, 0x5a);
const ECHO_BYTES = 64;
/** TCP finds its pace. */
const WARM_UP_MS = 500;
const CONNECT_MS = 5000;

function pump(socket: Socket): void {
  const more = () => {
    while (!socket.destroyed && socket.write(CHUNK));
  };
  socket.on('drain', more);
  more();
}

function serve(port: number): void {
  createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (first) => {
      const [way] = String(first);
      if (way === 'd') pump(socket);
      if (way === 'e') {
        if (first.length > 1) socket.write(first.subarray(1));
        socket.on('data', (data) => void socket.write(data));
      } else socket.resume();
    });
  }).listen(port);
}

function open(address: string, port: number, count?: (bytes: number) => void): Promise<Socket> {
  const buffer = Buffer.alloc(CHUNK.length);
  const onread = { buffer, callback: (bytes: number) => (count?.(bytes), true) };
  const socket = connect({ host: address, port, noDelay: true, ...(count !== undefined && { onread }) });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error('not connected in time')), CONNECT_MS);
    socket.once('error', reject);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', reject);
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
  });
}

async function move(way: string, address: string, port: number, connections: number, seconds: number) {
  let received = 0;
  const count = (bytes: number) => {
    received += bytes;
  };
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(address, port, count)));
  for (const socket of sockets) {
    socket.write(way === 'up' ? 'u' : 'd');
    if (way === 'up') pump(socket);
  }
  // What is written and still buffered here has not been moved.
  const moved = () =>
    way === 'down'
      ? received
      : sockets.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0);
  await sleep(WARM_UP_MS);
  const [startedAt, before] = [performance.now(), moved()];
  await sleep(seconds * 1000);
  const result = { bytes: moved() - before, seconds: (performance.now() - startedAt) / 1000 };
  for (const socket of sockets) socket.resetAndDestroy();
  return result;
}

async function connectMany(address: string, port: number, parallel: number, seconds: number) {
  const startedAt = performance.now();
  let [connections, failed] = [0, 0];
  const line = async () => {
    while (performance.now() - startedAt < seconds * 1000) {
      try {
        const socket = await open(address, port);
        socket.write('ex');
        await new Promise((resolve) => {
          socket.once('data', resolve);
          socket.once('close', resolve);
        });
        if (socket.destroyed) failed++;
        else connections++;
        socket.resetAndDestroy();
      } catch {
        failed++;
      }
    }
  };
  await Promise.all(Array.from({ length: parallel }, line));
  return { connections, failed, seconds: (performance.now() - startedAt) / 1000 };
}

async function echo(address: string, port: number, count: number) {
  const socket = await open(address, port);
  const ms: number[] = [];
  const payload = Buffer.alloc(ECHO_BYTES);
  socket.write('e');
  await sleep(10);
  for (let i = 0; i < count; i++) {
    const startedAt = performance.now();
    let missing = ECHO_BYTES;
    const whole = new Promise<void>((resolve, reject) => {
      const take = (data: Buffer) => {
        missing -= data.length;
        if (missing > 0) return;
        socket.off('data', take);
        resolve();
      };
      socket.on('data', take);
      socket.once('close', () => reject(new Error('the connection broke off')));
    });
    socket.write(payload);
    await whole;
    ms.push(performance.now() - startedAt);
    socket.removeAllListeners('close');
  }
  socket.destroy();
  return { ms: ms.toSorted((a, b) => a - b) };
}

const [what = '', ...rest] = process.argv.slice(2);
const [address = '', port = '', n = '', seconds = ''] = rest;
if (what === 'serve') serve(Number(address));
else {
  const result =
    what === 'up' || what === 'down'
      ? await move(what, address, Number(port), Number(n), Number(seconds))
      : what === 'connect'
        ? await connectMany(address, Number(port), Number(n), Number(seconds))
        : await echo(address, Number(port), Number(n));
  console.log(JSON.stringify(result));
  process.exit(0);
}
