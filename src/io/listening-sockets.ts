import { readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type IpAddress, parseAddress } from '../packet/address.ts';
import {
  parseSocketRow,
  receives,
  SOCKET_LISTENS,
  SOCKET_ROW_MAX_CHARACTERS,
  SOCKET_UNCONNECTED,
} from './proc-net-sockets.ts';

const CHUNK_BYTES = 16 * 1024;
/** Rows that are looked at in one table. */
const ROWS_MAX = 65_536;
/** Every so many looks, five of them a second, the tables are read whatever the counts say. */
export const THOROUGH_EVERY = 25;

/** Ascending, each once. */
export interface ListeningPorts {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

const NO_PORTS: ListeningPorts = { tcp: [], udp: [] };

export interface ListeningSocketsOptions {
  readonly dvipas: readonly string[];
  /** Of each protocol; where there are more the lowest count, since services have them. */
  readonly maxPorts: number;
  /** In place of `/proc/net`, that is, of this process's own network namespace. */
  readonly folder?: string;
}

/**
 * Which ports of this host have an application that hears what comes for a DVIPA: TCP sockets that listen, UDP sockets that are bound
 * and not connected, on the DVIPA or on every address. A socket that is bound to an interface only (SO_BINDTODEVICE) looks like any other.
 *
 * The kernel lists TCP sockets that listen first, so reading ends with the first other one. But it looks for that one through its whole
 * hash of connections, for milliseconds where there are few of them: so the counts of /proc/net/sockstat are asked first, which cost
 * nothing, and the tables are read when a count has changed, and with every 25th look.
 */
export class ListeningSockets {
  readonly #folder: string;
  readonly #maxPorts: number;
  #addresses: readonly (readonly [string, IpAddress])[] = [];
  #ports: ReadonlyMap<string, ListeningPorts> = new Map();
  #counts = '';
  #looks = 0;
  #isTruncated = false;

  /** Throws `TypeError` if a DVIPA is no address. */
  constructor({ dvipas, maxPorts, folder = '/proc/net' }: ListeningSocketsOptions) {
    this.#folder = folder;
    this.#maxPorts = maxPorts;
    this.setDvipas(dvipas);
  }

  /** Other DVIPAs, for the next look that is thorough. Throws `TypeError` if one is no address. */
  setDvipas(dvipas: readonly string[]): void {
    this.#addresses = dvipas.map((text) => {
      const address = parseAddress(text);
      if (address === undefined) throw new TypeError(`${text} is no address`);
      return [text, address];
    });
  }

  /** As of the last look; none before the first one. */
  portsOf(dvipa: string): ListeningPorts {
    return this.#ports.get(dvipa) ?? NO_PORTS;
  }

  /** The last look saw more than it could take in: some ports are missing. */
  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  /**
   * Looks, one call at a time; `isThorough`: also if no count has changed. Rejects if a table cannot be read or is none; what was seen
   * before stays.
   */
  async look(isThorough: boolean): Promise<void> {
    const counts = this.#readCounts();
    const isTurn = this.#looks++ % THOROUGH_EVERY === 0;
    if (!isThorough && !isTurn && counts === this.#counts) return;
    const found = new Map(
      this.#addresses.map(([dvipa]) => [dvipa, { tcp: new Set<number>(), udp: new Set<number>() }]),
    );
    let isTruncated = false;
    for (const protocol of ['tcp', 'udp'] as const) {
      for (const family of ['', '6']) {
        const isWhole = await this.#eachSocket(protocol, family, (address, port) => {
          for (const [dvipa, own] of this.#addresses) {
            if (receives(address, own)) found.get(dvipa)?.[protocol].add(port);
          }
        });
        isTruncated ||= !isWhole;
      }
    }
    const lowest = (ports: ReadonlySet<number>) => {
      isTruncated ||= ports.size > this.#maxPorts;
      return [...ports].toSorted((a, b) => a - b).slice(0, this.#maxPorts);
    };
    this.#ports = new Map(
      [...found].map(([dvipa, { tcp, udp }]) => [dvipa, { tcp: lowest(tcp), udp: lowest(udp) }]),
    );
    this.#isTruncated = isTruncated;
    this.#counts = counts;
  }

  /**
   * How many sockets of each sort are in use. A listener in place of a connection changes none of them. Two small files of counts that the
   * kernel has at hand: to have another thread read them costs more.
   */
  #readCounts(): string {
    const texts = ['sockstat', 'sockstat6'].map((name) => readCountsOf(`${this.#folder}/${name}`));
    return [...texts.join('\n').matchAll(/^(?:TCP|UDP)6?: inuse \d+/gm)].join(' ');
  }

  /** False: the table has more rows than we look at. */
  async #eachSocket(
    protocol: 'tcp' | 'udp',
    family: string,
    take: (address: IpAddress, port: number) => void,
  ): Promise<boolean> {
    const wanted = protocol === 'tcp' ? SOCKET_LISTENS : SOCKET_UNCONNECTED;
    const path = `${this.#folder}/${protocol}${family}`;
    let rows = 0;
    const isWhole = await eachLine(path, (line) => {
      if (rows++ === 0) return true; // names of the columns
      if (rows > ROWS_MAX) return false;
      const row = parseSocketRow(line);
      if (row === undefined) throw new Error(`${path}: row ${rows} is not what it should be`);
      if (row.state !== wanted) return protocol === 'udp';
      if (row.port > 0) take(row.address, row.port);
      return true;
    });
    return isWhole || rows <= ROWS_MAX;
  }
}

/** Lines of a file until `take` has had enough (false). The file is not read further than that; a host without IPv6 has none of its. */
async function eachLine(path: string, take: (line: string) => boolean): Promise<boolean> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (error) {
    noFile(error);
    return true;
  }
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let rest = '';
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
      if (bytesRead === 0) return rest === '' || take(rest);
      const lines = (rest + chunk.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > SOCKET_ROW_MAX_CHARACTERS) throw new Error(`${path}: a row without end`);
      for (const line of lines) if (!take(line)) return false;
    }
  } finally {
    await file.close();
  }
}

function readCountsOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    return noFile(error);
  }
}

/** Empty if the file is not there; any other error is thrown on. */
function noFile(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
  throw error;
}
