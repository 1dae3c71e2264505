import { byteStreamSha256 } from '../../../src/lab/byte-stream.ts';
import type { Host } from '../../../src/lab/host.ts';

/** One download of a load, on a connection of its own. Times are Date.now() of this machine. */
export interface LoadedDownload {
  readonly client: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** The target that answered; undefined: nobody did. */
  readonly server: string | undefined;
  readonly bytes: number;
  /** All of it came, with the right SHA-256. */
  readonly isWhole: boolean;
}

export interface DownloadLoad {
  readonly dvipa: string;
  /** Downloads that run at once, each followed by the next. */
  readonly parallel: number;
  /** No download begins after that but the first of each; what runs goes on to its end. */
  readonly seconds: number;
  /** Of one download. */
  readonly bytes: number;
  /** Of one download, paced where it is sent; undefined: as fast as it goes. */
  readonly bytesPerSecond?: number;
  readonly marker: string;
  /** A download that takes longer has failed. */
  readonly downloadSeconds?: number;
  /** The first downloads begin one after another within this time: in step, a load comes in bursts. Default 3 s. */
  readonly spreadSeconds?: number;
}

/** One line for each download: start and end in ms, what curl says (exit code, bytes, who answered), SHA-256. */
const SCRIPT = `
parallel=$1 end=$(($(date +%s%3N) + $2 * 1000)) url=$3 limit=$4 spread=$5
line() {
  wait=$(($1 * spread * 1000 / parallel))
  sleep "$((wait / 1000)).$(printf %03d $((wait % 1000)))"
  while :; do
    started=$(date +%s%3N)
    said=$({ curl -s --connect-timeout 10 --max-time "$limit" \
      -w '%{stderr}%{exitcode} %{size_download} %header{x-dvipa-host}.' "$url" | sha256sum >&2; } 2>&1 | tr '\n' ' ')
    ended=$(date +%s%3N)
    echo "$started $ended $said"
    [ "$ended" -lt "$end" ] || break
  done
}
i=0
while [ $i -lt "$parallel" ]; do line $i & i=$((i + 1)); done
wait`;

/** Has a client download from the cluster for a while, and tells of every download when the last one has ended. */
export async function runDownloads(client: Host, load: DownloadLoad): Promise<LoadedDownload[]> {
  const {
    dvipa,
    parallel,
    seconds,
    bytes,
    bytesPerSecond,
    marker,
    downloadSeconds = 90,
    spreadSeconds = 3,
  } = load;
  const rate = bytesPerSecond === undefined ? '' : `&rate=${Math.round(bytesPerSecond)}`;
  const url = `http://${dvipa}/bytes/${bytes}?marker=${marker}${rate}`;
  const argv = [
    'sh',
    '-c',
    SCRIPT,
    'downloads',
    ...[parallel, seconds, url, downloadSeconds, spreadSeconds].map(String),
  ];
  const said = await client.must(argv, { timeoutMs: (seconds + downloadSeconds + 30) * 1000 });
  const sha256 = byteStreamSha256(bytes, marker);
  return said
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => downloadOf(client.name, line, sha256));
}

function downloadOf(client: string, line: string, wanted: string): LoadedDownload {
  const [, startedAt, endedAt, exitCode, bytes, server, sha256] =
    /^(\d+) (\d+) (\d+) (\d+) (\S*)\. ?([0-9a-f]{64})/.exec(line) ?? [];
  if (sha256 === undefined) throw new Error(`${client}: a download says '${line}'`);
  return {
    client,
    startedAt: Number(startedAt),
    endedAt: Number(endedAt),
    server: server === '' ? undefined : server,
    bytes: Number(bytes),
    isWhole: exitCode === '0' && sha256 === wanted,
  };
}
