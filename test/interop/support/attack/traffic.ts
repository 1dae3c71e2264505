import { rmSync, writeFileSync } from 'node:fs';
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
const DOWNLOAD = 'curl -s --local-port "$1" --max-time "$2" "$3" | sha256sum';

/** True if all of it came, with the right SHA-256. */
export async function transfer(cluster: Cluster, client: Host, what: Transfer): Promise<boolean> {
  const argv = ['sh', '-c', DOWNLOAD, 'transfer', String(what.port), String(SECONDS), urlOf(cluster, what)];
  const { stdout } = await client.exec(argv, { timeoutMs: (SECONDS + 10) * 1000 });
  return stdout.startsWith(byteStreamSha256(what.bytes, what.marker));
}

/** Reads nothing until a file is there: with a small buffer the window closes, and the server cannot even begin to end. */
const HELD = `
import hashlib, http.client, os, socket, sys, time
port, address, path, file, bytes_wanted, seconds = sys.argv[1:]
sock = socket.socket()
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
sock.bind(('', int(port)))
sock.settimeout(int(seconds))
sock.connect((address, 80))
sock.sendall(f'GET {path} HTTP/1.1\\r\\nHost: held\\r\\n\\r\\n'.encode())
while not os.path.exists(file): time.sleep(0.2)
response = http.client.HTTPResponse(sock)
response.begin()
print(hashlib.sha256(response.read(int(bytes_wanted))).hexdigest())
`;

/** A download of which nothing is read, so that its window closes, until it is released. */
export class HeldTransfer {
  readonly port: number;
  readonly #file: string;
  readonly #isWhole: Promise<boolean>;

  constructor(cluster: Cluster, client: Host, what: Transfer) {
    const { port, bytes, marker } = what;
    this.port = port;
    this.#file = cluster.file(`released-${port}`);
    rmSync(this.#file, { force: true });
    const path = new URL(urlOf(cluster, what));
    const values = [port, cluster.dvipa, path.pathname + path.search, this.#file, bytes, SECONDS].map(String);
    this.#isWhole = client
      .exec(['/usr/bin/python3', '-c', HELD, ...values], { timeoutMs: 2 * SECONDS * 1000 })
      .then(({ stdout }) => stdout.startsWith(byteStreamSha256(bytes, marker)));
  }

  /** Lets it go on to its end; true if all of it came, with the right SHA-256. */
  release(): Promise<boolean> {
    writeFileSync(this.#file, '');
    return this.#isWhole;
  }
}

function urlOf({ dvipa }: Cluster, { bytes, marker }: Transfer): string {
  return `http://${dvipa}/bytes/${bytes}?marker=${marker}`;
}

/** TCP segments that this host has sent again so far. */
export async function retransmissions(host: Host): Promise<number> {
  const text = await host.must(['cat', '/proc/net/snmp']);
  const [names = [], values = []] = [...text.matchAll(/^Tcp: (.*)$/gm)].map(([, line = '']) =>
    line.split(' '),
  );
  return Number(values[names.indexOf('RetransSegs')]);
}
