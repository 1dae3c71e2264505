import {
  type Cell,
  FIRST_PORT,
  type PeerKind,
  SUITES,
  type Suite,
  type Wrapping,
  WRAPPINGS,
} from './cells.ts';

/**
 * Which cells there are and which run. There is the product of all dimensions with the shortest key of each pair of
 * algorithms, and the longer keys in the base wrapping. What is too slow for every run is covered there in pairs: any two values
 * of two dimensions meet in some cell. DVIPA_MATRIX=full runs all.
 */

export const PEERS: readonly PeerKind[] = ['kernel', 'libipsec', 'scapy'];

/** Why a peer cannot do a cell. Each of these is proved by a test of its own. */
export interface Obstacle {
  /** For the table. */
  readonly letter: string;
  readonly reason: string;
  readonly stops: (wrapping: Wrapping, suite: Suite) => boolean;
}

export const OBSTACLES: Readonly<Record<PeerKind, readonly Obstacle[]>> = {
  kernel: [],
  libipsec: [
    { letter: 'a', reason: 'it knows tunnel mode only', stops: ({ mode }) => mode === 'transport' },
    { letter: 'b', reason: 'it puts ESP into UDP, always', stops: ({ way }) => way === 'native' },
    { letter: 'c', reason: 'it has no extended sequence numbers', stops: ({ esn }) => esn },
    { letter: 'd', reason: 'it has no AES-GMAC', stops: (_, { proposal }) => proposal.includes('gmac') },
  ],
  scapy: [],
};

/** Peers whose whole product every run goes through; of the others it is the pairs. */
const ALWAYS_WHOLE: readonly PeerKind[] = ['kernel', 'libipsec'];

export interface PlannedCell extends Cell {
  readonly obstacle: Obstacle | undefined;
  /** Runs also without DVIPA_MATRIX=full. */
  readonly isAlways: boolean;
}

/** Every cell, in the order of the table. */
export function planMatrix(): PlannedCell[] {
  const base = WRAPPINGS.slice(0, 1);
  const product = SUITES.flatMap((suite) =>
    (suite.isShortest ? WRAPPINGS : base).map((wrapping) => ({ suite, wrapping })),
  );
  const cells = PEERS.flatMap((peer) => product.map((cell) => ({ peer, ...cell })));
  const numbered = cells.map((cell, index): Cell => ({ ...cell, port: FIRST_PORT + index }));
  return PEERS.flatMap((peer) => {
    const mine = numbered.filter((cell) => cell.peer === peer);
    const always = new Set(ALWAYS_WHOLE.includes(peer) ? mine : coverPairs(mine));
    return mine.map((cell) => ({
      ...cell,
      obstacle: OBSTACLES[peer].find(({ stops }) => stops(cell.wrapping, cell.suite)),
      isAlways: always.has(cell),
    }));
  });
}

export function isFullRun(): boolean {
  return process.env['DVIPA_MATRIX'] === 'full';
}

/** A few of the cells, in which every two values of two dimensions meet that meet in any of them. */
export function coverPairs(cells: readonly Cell[]): Cell[] {
  const left = new Set(cells.flatMap(pairsOf));
  const chosen: Cell[] = [];
  while (left.size > 0) {
    const gain = (cell: Cell) => pairsOf(cell).filter((pair) => left.has(pair)).length;
    const best = cells.reduce((one, other) => (gain(other) > gain(one) ? other : one));
    chosen.push(best);
    for (const pair of pairsOf(best)) left.delete(pair);
  }
  return chosen;
}

function pairsOf({ suite, wrapping }: Cell): string[] {
  const values = Object.entries({ ...wrapping, suite: suite.proposal }).map((entry) => entry.join('='));
  return values.flatMap((one, index) => values.slice(index + 1).map((other) => `${one} ${other}`));
}
