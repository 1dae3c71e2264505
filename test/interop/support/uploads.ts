import { writeFileSync } from 'node:fs';
import { byteStream } from '../../../src/lab/byte-stream.ts';
import type { Cluster } from './cluster.ts';

export const UPLOAD_PORT = 8081;

/** Answers a body with its SHA-256. */
const SERVER = `
  const { createHash } = require('node:crypto');
  const server = require('node:http').createServer((request, response) => {
    const hash = createHash('sha256');
    request.on('data', (chunk) => hash.update(chunk));
    request.on('end', () => response.setHeader('x-dvipa-host', process.argv[2]).end(hash.digest('hex')));
  });
  const listen = () => server.listen(${UPLOAD_PORT}, process.argv[1]);
  server.on('error', () => setTimeout(listen, 100));
  listen();`;

/** Starts a server of that kind on every target. Returns a file of so many bytes of the lab's stream, which clients see as well. */
export function startUploads(cluster: Cluster, bytes: number): string {
  for (const target of cluster.targets)
    cluster.lab.host(target).spawn('uploads', [process.execPath, '-e', SERVER, cluster.dvipa, target]);
  const file = cluster.file('upload');
  writeFileSync(file, Buffer.concat([...byteStream(bytes)]));
  return file;
}
