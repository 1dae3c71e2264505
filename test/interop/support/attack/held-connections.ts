import { byteStreamSha256 } from '../../../../src/lab/byte-stream.ts';
import type { Host } from '../../../../src/lab/host.ts';

export interface HeldOptions {
  readonly port: number;
  readonly bytes: number;
  readonly bytesPerSecond: number;
  readonly marker: string;
}

/**
 * A download from a port of our choice, so that the one entry in the cluster's table that may be there for it is known. True if all
 * of it came, with the right SHA-256.
 */
export async function heldDownload(client: Host, dvipa: string, options: HeldOptions): Promise<boolean> {
  const { port, bytes, bytesPerSecond, marker } = options;
  const seconds = Math.ceil(bytes / bytesPerSecond) * 4 + 30;
  const script = 'curl -s --local-port "$1" --limit-rate "$2" --max-time "$3" "$4" | sha256sum';
  const url = `http://${dvipa}/bytes/${bytes}?marker=${marker}`;
  const argv = [String(port), String(bytesPerSecond), String(seconds), url];
  const { stdout } = await client.exec(['sh', '-c', script, 'held', ...argv], {
    timeoutMs: (seconds + 10) * 1000,
  });
  return stdout.startsWith(byteStreamSha256(bytes, marker));
}

/** TCP segments that this host has sent again so far. */
export async function retransmissions(host: Host): Promise<number> {
  const text = await host.must(['cat', '/proc/net/snmp']);
  const [names = [], values = []] = [...text.matchAll(/^Tcp: (.*)$/gm)].map(([, line = '']) =>
    line.split(' '),
  );
  return Number(values[names.indexOf('RetransSegs')]);
}
