import type { LabHostPlan } from '../../../../src/lab/addresses.ts';
import { waitFor } from '../../../../src/lab/wait-for.ts';
import { listSas, openSession, rekey, type ViciSession } from '../../../../src/vici/index.ts';
import type { Cluster } from '../cluster.ts';
import { type Cell, childName, type Group } from './cells.ts';
import { addressesOf } from './charon-conf.ts';
import type { Worker } from './worker-client.ts';
import type { Faults, ListedChild } from './worker-jobs.ts';

/** So many CHILD_SAs are up at once and rekeyed together. */
const CHUNK_CELLS = 40;
const REKEY_MS = 60_000;
const NO_CHILD = 'no CHILD_SA';

/** Cell to what was wrong with it; cells that are not in it are green. */
export type CellFaults = Map<Cell, string>;

export interface PeerParts {
  readonly cluster: Cluster;
  readonly plan: LabHostPlan;
  readonly worker: Worker;
  /** Of the file that goes each way; 100 kB at most. */
  readonly fileBytes: number;
  /** Told after CHILD_SAs of these cells were made or remade, before anything is sent through them. */
  readonly onKeys?: (children: readonly ListedChild[], cells: readonly Cell[]) => Promise<void>;
}

/**
 * Runs the cells of one peer. Each of them has a CHILD_SA of its own: brought up by the peer, files moved through it both
 * ways, rekeyed (one half of them by the peer, the other by us), and files moved again.
 */
export class PeerRun {
  readonly faults: CellFaults = new Map();
  readonly #parts: PeerParts;
  readonly #ours: ViciSession;

  private constructor(parts: PeerParts, ours: ViciSession) {
    this.#parts = parts;
    this.#ours = ours;
  }

  static async open(parts: PeerParts): Promise<PeerRun> {
    const { cluster } = parts;
    const uri = `unix://${cluster.run(cluster.lab.router.name, 'charon.vici')}`;
    return new PeerRun(parts, await openSession(uri));
  }

  close(): void {
    this.#ours.close();
  }

  /** Runs the cells of one IKE_SA; `afterChunk` may look at counters while the SAs are still there. */
  async runGroup({ name, cells }: Group, afterChunk: () => Promise<void>): Promise<void> {
    for (let at = 0; at < cells.length; at += CHUNK_CELLS) {
      await this.#runChunk(cells.slice(at, at + CHUNK_CELLS));
      await afterChunk();
    }
    await this.#parts.worker.faults({ kind: 'terminate', ike: name });
  }

  /** Brings a cell's CHILD_SA up and takes it down again: what was wrong with it, or undefined. */
  async attempt(cell: Cell): Promise<string | undefined> {
    const { worker } = this.#parts;
    this.#note([cell], NO_CHILD, await worker.faults({ kind: 'initiate', children: [childName(cell)] }));
    if (!this.faults.has(cell)) this.#check(cell, newest(await worker.list(), cell));
    const fault = this.faults.get(cell);
    this.faults.delete(cell);
    return fault;
  }

  async #runChunk(cells: readonly Cell[]): Promise<void> {
    const { worker, onKeys } = this.#parts;
    this.#note(cells, NO_CHILD, await worker.faults({ kind: 'initiate', children: cells.map(childName) }));
    const first = await worker.list();
    for (const cell of this.#green(cells)) this.#check(cell, newest(first, cell));
    await this.#installed();
    await onKeys?.(first, this.#green(cells));
    await this.#exchange('before', this.#green(cells));
    await this.#used('before', this.#green(cells));

    const green = this.#green(cells);
    const half = Math.ceil(green.length / 2);
    const byPeer = green.slice(0, half);
    this.#note(byPeer, 'no rekey', await worker.faults({ kind: 'rekey', children: byPeer.map(childName) }));
    await this.#rekeyOurs(first, green.slice(half));
    const second = await this.#rekeyed(first, green);
    for (const cell of this.#green(green)) this.#check(cell, newest(second, cell));
    await this.#installed();
    await onKeys?.(second, this.#green(green));
    await this.#exchange('after', this.#green(green));
    await this.#used('after', this.#green(green));
  }

  /** What went through is counted on the SA that should have carried it, both ways. */
  async #used(phase: string, cells: readonly Cell[]): Promise<void> {
    const list = await this.#parts.worker.list();
    for (const cell of cells) {
      const { packetsIn = 0, packetsOut = 0 } = newest(list, cell) ?? {};
      if (cell.peer !== 'scapy' && (packetsIn === 0 || packetsOut === 0))
        this.faults.set(cell, `${phase} the rekey its SA carried ${packetsIn} packets in, ${packetsOut} out`);
    }
  }

  #green(cells: readonly Cell[]): Cell[] {
    return cells.filter((cell) => !this.faults.has(cell));
  }

  #note(cells: readonly Cell[], what: string, faults: Faults): void {
    for (const [index, cell] of cells.entries()) {
      const fault = faults[index];
      if (fault !== null && fault !== undefined) this.faults.set(cell, `${what}: ${fault}`);
    }
  }

  /** What charon lists must be what the cell is about: nothing may be negotiated down silently. */
  #check(cell: Cell, sa: ListedChild | undefined): void {
    const { suite, wrapping } = cell;
    const { outerLocal, outerRemote } = addressesOf(
      wrapping,
      this.#parts.plan,
      this.#parts.cluster.lab.scenario,
    );
    const wanted = {
      mode: wrapping.mode,
      isUdp: wrapping.way === 'udp',
      isEsn: wrapping.esn,
      encryption: suite.encryption,
      keyBits: suite.keyBits,
      integrity: suite.integrity,
      localHost: outerLocal,
      remoteHost: outerRemote,
    };
    if (sa === undefined) {
      this.faults.set(cell, 'charon lists no SA');
      return;
    }
    for (const [name, value] of Object.entries(wanted)) {
      const found = sa[name as keyof typeof wanted];
      if (found !== value) this.faults.set(cell, `${name} is ${found}, not ${value}`);
    }
  }

  async #exchange(phase: string, cells: readonly Cell[]): Promise<void> {
    const { worker, plan, cluster, fileBytes } = this.#parts;
    const ends = cells.map(({ wrapping, port }) => {
      const { innerLocal, innerRemote } = addressesOf(wrapping, plan, cluster.lab.scenario);
      return { source: innerLocal, destination: innerRemote, port };
    });
    const label = `${plan.name} ${phase}`;
    const faults = await worker.faults({ kind: 'exchange', label, fileBytes, cells: ends });
    this.#note(cells, `files ${phase} the rekey`, faults);
  }

  /** Waits until the targets have all SAs; those that never get there show in the exchange. */
  async #installed(): Promise<void> {
    const { cluster } = this.#parts;
    const areThere = async () => {
      const sas = await cluster.ask(cluster.lab.router.name, 'sas');
      return sas.every(({ installedOn }) => installedOn.length === cluster.targets.length);
    };
    await waitFor('all SAs are installed on all targets', areThere).catch(() => {});
  }

  /** Our end of these CHILD_SAs is found by its SPI: all have one name there. */
  async #rekeyOurs(before: readonly ListedChild[], cells: readonly Cell[]): Promise<void> {
    const ids = new Map(
      (await listSas(this.#ours)).flatMap(({ children }) =>
        children.map(({ spiIn = 0, uniqueId }) => [spiIn, uniqueId] as const),
      ),
    );
    for (const cell of cells) {
      const childId = ids.get(Number.parseInt(newest(before, cell)?.spiOut ?? '', 16));
      if (childId === undefined) this.faults.set(cell, 'no rekey: our charon does not list it');
      else await rekey(this.#ours, { childId });
    }
  }

  /** Waits until each of the cells has an SA that it did not have before; returns the new list. */
  async #rekeyed(before: readonly ListedChild[], cells: readonly Cell[]): Promise<readonly ListedChild[]> {
    let list: readonly ListedChild[] = [];
    const missing = () =>
      this.#green(cells).filter((cell) => {
        const spi = newest(list, cell)?.spiIn;
        return spi === undefined || spi === newest(before, cell)?.spiIn;
      });
    const areNew = async () => {
      list = await this.#parts.worker.list();
      return missing().length === 0;
    };
    await waitFor('rekeys', areNew, { timeoutMs: REKEY_MS, everyMs: 100 }).catch(() => {
      for (const cell of missing()) this.faults.set(cell, 'no rekey');
    });
    return list;
  }
}

/** The SA of a cell that is in use. */
function newest(list: readonly ListedChild[], cell: Cell): ListedChild | undefined {
  return list.findLast(({ name, state }) => name === childName(cell) && state === 'INSTALLED');
}
