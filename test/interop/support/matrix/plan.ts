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
 * Which cells there are, which of them a peer cannot do, and which are run every time. There is the product of all dimensions with the
 * shortest key of each pair of algorithms, and the longer keys in the base wrapping.
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
  /** Is run by every `make test`, not by `make soak` only. */
  readonly isEveryTime: boolean;
}

/** Two peers take turns that are far apart, so that together they have more of a suite's wrappings. */
const PEER_TURN = 9;

/** `mode=tunnel way=udp` and so on: every two properties of a wrapping together. */
export function pairsOf(wrapping: Wrapping): string[] {
  const properties = Object.entries(wrapping).map(([name, value]) => `${name}=${value}`);
  return properties.flatMap((one, index) => properties.slice(index + 1).map((other) => `${one} ${other}`));
}

/**
 * Some of these wrappings, among which is every pair of properties that there is among all of them: mostly a fault of a wrapping is one
 * of a property or of two that meet. `turn` says where to begin to look: with other turns come other wrappings.
 */
export function coveringWrappings(all: readonly Wrapping[], turn: number): Wrapping[] {
  const from = turn % Math.max(all.length, 1);
  const turned = [...all.slice(from), ...all.slice(0, from)];
  const missing = new Set(all.flatMap(pairsOf));
  const chosen: Wrapping[] = [];
  while (missing.size > 0) {
    const gain = (wrapping: Wrapping) => pairsOf(wrapping).filter((pair) => missing.has(pair)).length;
    const best = turned.reduce((most, other) => (gain(other) > gain(most) ? other : most));
    for (const pair of pairsOf(best)) missing.delete(pair);
    chosen.push(best);
  }
  return chosen;
}

/** Every cell, in the order of the table. */
export function planMatrix(): PlannedCell[] {
  const base = WRAPPINGS.slice(0, 1);
  const product = SUITES.flatMap((suite) =>
    (suite.isShortest ? WRAPPINGS : base).map((wrapping) => ({ suite, wrapping })),
  );
  const cells = PEERS.flatMap((peer) => product.map((cell) => ({ peer, ...cell })));
  const obstacleOf = (peer: PeerKind, wrapping: Wrapping, suite: Suite) =>
    OBSTACLES[peer].find(({ stops }) => stops(wrapping, suite));
  const everyTime = new Map<string, readonly Wrapping[]>();
  for (const [peerTurn, peer] of PEERS.entries()) {
    for (const [suiteTurn, suite] of SUITES.entries()) {
      const possible = WRAPPINGS.filter((wrapping) => obstacleOf(peer, wrapping, suite) === undefined);
      const chosen = coveringWrappings(possible, suiteTurn + peerTurn * PEER_TURN);
      everyTime.set(`${peer} ${suite.proposal}`, suite.isShortest ? chosen : base);
    }
  }
  return cells.map(({ peer, suite, wrapping }, index) => ({
    peer,
    suite,
    wrapping,
    port: FIRST_PORT + index,
    obstacle: obstacleOf(peer, wrapping, suite),
    isEveryTime: everyTime.get(`${peer} ${suite.proposal}`)?.includes(wrapping) === true,
  }));
}
