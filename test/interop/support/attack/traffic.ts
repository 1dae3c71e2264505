import { writeFileSync } from 'node:fs';
import { byteStreamSha256 } from '../../../../src/lab/byte-stream.ts';
import type { Host } from '../../../../src/lab/host.ts';
import type { Cluster } from '../cluster.ts';

/** The client of the attack's run, and ports of its own choice: what entries may be in the cluster's table is known then. */
export interface Transfer {
  readonly port: number;
  readonly bytes: number;
  readonly marker: string;
}

const SECONDS = 180;
const CURL = 'curl -s --local-port "$1" --max-time "$2" "$3"';

/** True if all of it came, with the right SHA-256. */
export async function transfer(cluster: Cluster, client: Host, what: Transfer): Promise<boolean> {
  return isWhole(cluster, client, what, `${CURL} | sha256sum`);
}

/** A download of which nothing is read, so that its window closes, until it is released. */
export class HeldTransfer {
  readonly port: number;
  readonly #file: string;
  readonly #isWhole: Promise<boolean>;

  constructor(cluster: Cluster, client: Host, what: Transfer) {
    this.port = what.port;
    this.#file = cluster.file(`released-${what.port}`);
    const wait = 'while [ ! -e "$4" ]; do sleep 0.2; done';
    this.#isWhole = isWhole(cluster, client, what, `${CURL} | { ${wait}; sha256sum; }`, this.#file);
  }

  /** Lets it go on to its end; true if all of it came, with the right SHA-256. */
  release(): Promise<boolean> {
    writeFileSync(this.#file, '');
    return this.#isWhole;
  }
}

async function isWhole(
  cluster: Cluster,
  client: Host,
  { port, bytes, marker }: Transfer,
  script: string,
  file = '',
): Promise<boolean> {
  const url = `http://${cluster.dvipa}/bytes/${bytes}?marker=${marker}`;
  const argv = ['sh', '-c', script, 'transfer', String(port), String(SECONDS), url, file];
  const { stdout } = await client.exec(argv, { timeoutMs: (SECONDS + 10) * 1000 });
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
