// Records what swanctl and charon say to each other, into charon.json beside this file. Needs root and charon.
//
//     npx tsx test/vectors/vici/record.ts
//
// Every vector is one run of swanctl through a proxy: `raw` is what swanctl printed (its own decoding, with --raw), `frames`
// are the length-prefixed packets as they passed, in order. Only the kernel's release in `version` is masked. What swanctl
// never sends (unknown names, registration for rekey events) is written out byte by byte below.
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { run } from '../../../src/lab/run.ts';
import { FrameReader } from '../../../src/vici/framing.ts';
import { CharonPair } from '../../support/charon-pair.ts';

interface Frame {
  from: 'client' | 'charon';
  hex: string;
}

interface Vector {
  name: string;
  command: string;
  raw: string;
  frames: Frame[];
}

function record(into: Frame[], from: Frame['from'], source: net.Socket, sink: net.Socket): void {
  const frames = new FrameReader();
  source.on('data', (chunk) => {
    for (const frame of frames.push(chunk)) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(frame.length);
      into.push({ from, hex: Buffer.concat([length, masked(frame)]).toString('hex') });
    }
    sink.write(chunk);
  });
  source.on('end', () => sink.end());
  source.on('error', () => sink.destroy());
}

/** Which kernel it was says nothing about VICI: as many dots instead. */
function masked(frame: Buffer): Buffer {
  const text = frame.toString('latin1').replaceAll(os.release(), '.'.repeat(os.release().length));
  return Buffer.from(text, 'latin1');
}

async function main(): Promise<void> {
  const pair = new CharonPair();
  const vectors: Vector[] = [];
  let frames: Frame[] = [];
  const socket = `${pair.right.folder}/proxy`;
  const proxy = net.createServer((client) => {
    const daemon = net.connect(`${pair.right.folder}/run/charon.vici`);
    const own = frames;
    record(own, 'client', client, daemon);
    record(own, 'charon', daemon, client);
  });

  const take = async (name: string, args: string[], timeoutMs?: number) => {
    const own: Frame[] = [];
    frames = own;
    const argv = ['stdbuf', '-oL', 'swanctl', ...args, '--uri', `unix://${socket}`];
    const result = await run(argv, timeoutMs === undefined ? {} : { timeoutMs });
    const raw = result.stdout.replaceAll(os.release(), '.'.repeat(os.release().length));
    vectors.push({ name, command: `swanctl ${args.join(' ')}`, raw, frames: own });
  };
  const takeBytes = async (name: string, request: string[], listenMs: number) => {
    const own: Frame[] = [];
    frames = own;
    const client = net.connect(socket);
    for (const text of request) client.write(Buffer.from(text, 'latin1'));
    client.resume();
    await new Promise((resolve) => setTimeout(resolve, listenMs));
    client.destroy();
    vectors.push({ name, command: JSON.stringify(request), raw: '', frames: own });
  };
  const other = (...args: string[]) => run(pair.swanctl(pair.left, ...args));
  const settle = () => new Promise((resolve) => setTimeout(resolve, 700));

  try {
    await pair.start();
    await new Promise<void>((resolve) => proxy.listen(socket, resolve));
    await take('version', ['--version', '--daemon', '--raw']);
    await take('stats', ['--stats', '--raw']);
    await take('list-sas without any', ['--list-sas', '--raw']);
    await take('list-conns', ['--list-conns', '--raw']);
    await takeBytes('unknown command', ['\0\0\0\x08\0\x06nobody'], 300);
    await takeBytes('unknown event', ['\0\0\0\x08\x03\x06nobody'], 300);
    await take('rekey refused', ['--rekey', '--child', 'nobody', '--raw']);
    const watch = take('events of the life of an IKE_SA', ['--monitor-sa', '--raw'], 9000);
    await settle();
    const register = ['\0\0\0\x0b\x03\x09ike-rekey', '\0\0\0\x0d\x03\x0bchild-rekey'];
    const rekeys = takeBytes('rekey events', register, 7000);
    await settle();
    await other('--initiate', '--child', 'web');
    await settle();
    await run(['ip', 'netns', 'exec', pair.left.netns, 'ping', '-c1', '-I', pair.left.inner, pair.right.inner]);
    await take('list-sas with one', ['--list-sas', '--raw']);
    await take('rekey child', ['--rekey', '--child', 'web', '--raw']);
    await settle();
    await take('list-sas after a rekey', ['--list-sas', '--raw']);
    await take('rekey ike', ['--rekey', '--ike', 'dvipa', '--raw']);
    await settle();
    await take('terminate, with log events', ['--terminate', '--ike', 'dvipa', '--raw']);
    await Promise.all([watch, rekeys]);
  } finally {
    proxy.close();
    await pair.stop();
  }
  const madeBy = 'strongSwan 5.9.8 (Debian), swanctl and charon-systemd, by record.ts';
  const file = new URL('charon.json', import.meta.url);
  writeFileSync(file, `${JSON.stringify({ madeBy, vectors }, undefined, 1)}\n`);
}

await main();
