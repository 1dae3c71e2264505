import { createHash } from 'node:crypto';
import { byteStreamSha256 } from '../byte-stream.ts';
import type { Host } from '../host.ts';

const REQUEST_SECONDS = 5;

export interface Requests {
  readonly perTarget: Record<string, number>;
  readonly failed: number;
  readonly made: number;
}

/** Asks for `/` so many times, each on a connection of its own, and counts who answered. */
export async function requestMany(
  client: Host,
  dvipa: string,
  count: number,
  seconds = REQUEST_SECONDS,
): Promise<Requests> {
  // One process in the host for all of them: entering it costs more than a request.
  const loop =
    'i=0; while [ $i -lt "$1" ]; do curl -s --max-time "$2" "$3" || echo "failed $?"; i=$((i + 1)); done';
  const url = `http://${dvipa}/`;
  const said = await client.must(['sh', '-c', loop, 'requests', String(count), String(seconds), url], {
    timeoutMs: (count * seconds + 10) * 1000,
  });
  const lines = said.split('\n').filter((line) => line !== '');
  const perTarget: Record<string, number> = {};
  let failed = 0;
  for (const line of lines) {
    const [name = ''] = line.split(' ');
    if (name === 'failed') failed += 1;
    else perTarget[name] = (perTarget[name] ?? 0) + 1;
  }
  return { perTarget, failed, made: lines.length };
}

/** Goes on asking until `isOver` says so. */
export async function requestUntil(
  client: Host,
  dvipa: string,
  isOver: () => boolean,
  seconds = REQUEST_SECONDS,
): Promise<Requests> {
  const total = { failed: 0, made: 0 };
  while (!isOver()) {
    const { failed, made } = await requestMany(client, dvipa, 5, seconds);
    total.failed += failed;
    total.made += made;
  }
  return { perTarget: {}, ...total };
}

export interface Download {
  readonly bytes: number;
  readonly expectedBytes: number;
  readonly sha256ok: boolean;
  readonly mbitPerSecond: number;
}

/** Downloads `/bytes/COUNT` with a marker in it; compares its SHA-256 with that of the stream computed here. */
export async function download(
  client: Host,
  dvipa: string,
  bytes: number,
  marker: string,
  seconds: number,
): Promise<Download> {
  const url = `http://${dvipa}/bytes/${bytes}?marker=${marker}`;
  const script = 'curl -s --max-time "$1" -w "%{stderr}%{size_download} %{time_total}\\n" "$2" | sha256sum';
  const { stdout, stderr } = await client.exec(['sh', '-c', script, 'download', String(seconds), url], {
    timeoutMs: (seconds + 10) * 1000,
  });
  const [received = 0, duration = 0] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return {
    bytes: received,
    expectedBytes: bytes,
    sha256ok: stdout.startsWith(byteStreamSha256(bytes, marker)),
    mbitPerSecond: duration > 0 ? (received * 8) / duration / 1e6 : 0,
  };
}

/** A marker that nothing else on the wires can hold by chance. */
export function newMarker(seed: string): string {
  return `DVIPA-MARKER-${createHash('sha256').update(seed).digest('hex').slice(0, 24)}`;
}
