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
 * algorithms, and the longer keys in the base wrapping. The whole takes too long for every run, so there any two values of two
 * dimensions meet in some cell, and the base algorithms go through all wrappings. DVIPA_MATRIX=full runs all.
 */

export const PEERS: readonly PeerKind[] = ['kernel', 'libipsec', 'scapy'];

/** Why a peer cannot do a cell. Each of these is proved by a test of its own. */
export interface Obstacle {
  /** For the table. */
  readonly letter: string;
  readonly reason: string;
  readonly stops: (wrapping: Wrapping, suite: Suite) => boolean;
  /** The proof: how an attempt ends, and what the peer's charon then says, in its log or in its list of SAs. */
  readonly fault: string;
  readonly words: string;
}

export const OBSTACLES: Readonly<Record<PeerKind, readonly Obstacle[]>> = {
  kernel: [],
  libipsec: [
    {
      letter: 'a',
      reason: 'it knows tunnel mode only',
      stops: ({ mode }) => mode === 'transport',
      fault: 'no CHILD_SA',
      words: 'unsupported mode',
    },
    {
      letter: 'b',
      reason: 'it puts ESP into UDP, always',
      stops: ({ way }) => way === 'native',
      fault: 'isUdp is true, not false',
      words: 'TUNNEL-in-UDP',
    },
    {
      letter: 'c',
      reason: 'it has no extended sequence numbers',
      stops: ({ esn }) => esn,
      fault: 'no CHILD_SA',
      words: 'ESN not supported',
    },
    {
      letter: 'd',
      reason: 'it has no AES-GMAC',
      stops: (_, { proposal }) => proposal.includes('gmac'),
      fault: 'no CHILD_SA',
      words: 'unsupported AEAD algorithm NULL_AES_GMAC',
    },
  ],
  scapy: [],
};

/** The first cell that this is the one thing in the way of. */
export function exampleOf(obstacle: Obstacle, cells: readonly PlannedCell[]): PlannedCell | undefined {
  return cells.find(
    ({ peer, wrapping, suite }) =>
      OBSTACLES[peer].includes(obstacle) &&
      OBSTACLES[peer].every((other) => other.stops(wrapping, suite) === (other === obstacle)),
  );
}

/** These go through every wrapping in every run: one of each kind of algorithm that the peek tells apart most. */
const BASE_SUITES = ['aes128gcm16', 'aes128-sha256'];

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
    const always = new Set(alwaysOf(peer, mine));
    return mine.map((cell) => ({
      ...cell,
      obstacle: OBSTACLES[peer].find(({ stops }) => stops(cell.wrapping, cell.suite)),
      isAlways: always.has(cell),
    }));
  });
}

/** The user space peer is quick, and can do little; of the others every run takes a part. */
function alwaysOf(peer: PeerKind, cells: readonly Cell[]): readonly Cell[] {
  if (peer === 'libipsec') return cells;
  if (peer === 'scapy') return coverPairs(cells);
  return [...coverPairs(cells), ...cells.filter(({ suite }) => BASE_SUITES.includes(suite.proposal))];
}

export function isFullRun(): boolean {
  return process.env['DVIPA_MATRIX'] === 'full';
}

/** A few of the cells, in which every two values of two dimensions meet that meet in any of them. */
export function coverPairs(cells: readonly Cell[]): Cell[] {
  const left = new Set(cells.flatMap(pairsOf));
  // In another order than the table's, or of equally good cells the same wrappings would be chosen for every algorithm.
  const rank = ({ port }: Cell) => Math.imul(port, 0x9e3779b1) >>> 0;
  const spread = cells.toSorted((one, other) => rank(one) - rank(other));
  const chosen: Cell[] = [];
  while (left.size > 0) {
    const gain = (cell: Cell) => pairsOf(cell).filter((pair) => left.has(pair)).length;
    const best = spread.reduce((one, other) => (gain(other) > gain(one) ? other : one));
    chosen.push(best);
    for (const pair of pairsOf(best)) left.delete(pair);
  }
  return chosen;
}

/** Mode and encapsulation count as one dimension, and so do the two families. */
function pairsOf({ suite, wrapping }: Cell): string[] {
  const { mode, way, outside, inside, esn } = wrapping;
  const values = [suite.proposal, `${mode} ${way}`, `${inside} in ${outside}`, esn ? 'ESN' : 'no ESN'];
  return values.flatMap((one, index) => values.slice(index + 1).map((other) => `${one}, ${other}`));
}
