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
 * Which cells there are, and which of them a peer cannot do. There is the product of all dimensions with the shortest key of
 * each pair of algorithms, and the longer keys in the base wrapping.
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

export interface PlannedCell extends Cell {
  readonly obstacle: Obstacle | undefined;
}

/** Every cell, in the order of the table. */
export function planMatrix(): PlannedCell[] {
  const base = WRAPPINGS.slice(0, 1);
  const product = SUITES.flatMap((suite) =>
    (suite.isShortest ? WRAPPINGS : base).map((wrapping) => ({ suite, wrapping })),
  );
  const cells = PEERS.flatMap((peer) => product.map((cell) => ({ peer, ...cell })));
  return cells.map(({ peer, suite, wrapping }, index) => ({
    peer,
    suite,
    wrapping,
    port: FIRST_PORT + index,
    obstacle: OBSTACLES[peer].find(({ stops }) => stops(wrapping, suite)),
  }));
}
