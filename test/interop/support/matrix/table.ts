import { isDeepStrictEqual } from 'node:util';
import { type Cell, type PeerKind, SUITES, type Wrapping, WRAPPINGS } from './cells.ts';
import { OBSTACLES, type PlannedCell } from './plan.ts';

/** docs/interoperability.md, made from the plan and from what failed. */

const PASSED = '●';
const PASSED_IN_SOAK = '○';
const FAILED = '✗';

const TITLES: Readonly<Record<PeerKind, string>> = {
  kernel: 'A Linux kernel (6.1, XFRM, in User Mode Linux)',
  libipsec: "strongSwan's ESP in user space (kernel-libipsec)",
  scapy: 'Packets made and opened by scapy',
};

const INTRODUCTION = `# Interoperability

The test \`test/interop/matrix.test.ts\` makes this page (\`out/interoperability.md\`) and fails when the committed one says something
else than it found.

A cell is one peer, one pair of algorithms and one wrapping. It has a CHILD_SA of its own, negotiated by IKEv2 with a stock charon;
what that charon lists (mode, encapsulation, algorithms, ESN, addresses) must be what the cell is about. Through it a file goes from
the peer to the DVIPA and one comes back, over TCP, both checked by their hash; then the CHILD_SA is rekeyed, one half of them by
the peer and the other by us, and files go again. Connections take turns between two targets, so what they send goes by way
of the routing host (stamped with AES-GCM, else through the funnel). No agent may drop a packet as malformed, replayed or failing its check, and the kernel's own counters show
no failed integrity check, no replay and no other error.

Columns: *UDP* is ESP in UDP (port 4500), *ESP* is IP protocol 50; *4 in 6* is IPv4 inside of IPv6. In transport mode the inner
addresses are the outer ones, so families do not mix. A tunnel goes to the endpoint in front of the DVIPA, transport mode to
the DVIPA itself. The first sign of a cell is without extended sequence numbers, the second one with.

- ${PASSED} passes, in every \`make test\`: every pair of algorithms, in wrappings of which every two properties (mode, encapsulation,
  both families, ESN) come together.
- ${PASSED_IN_SOAK} passes in \`make soak\`, which runs all cells (\`DVIPA_MATRIX_CELLS=.\`).
- A letter: the peer cannot, as the list below its table says; the test tries it and finds the peer's own words for it.
`;

export type Failures = ReadonlyMap<Cell, string>;

export function renderPage(plan: readonly PlannedCell[], failures: Failures): string {
  const peers = [...new Set(plan.map(({ peer }) => peer))];
  const sections = peers.map((peer) =>
    renderPeer(
      peer,
      plan.filter((cell) => cell.peer === peer),
      failures,
    ),
  );
  return [INTRODUCTION, ...sections].join('\n');
}

function renderPeer(peer: PeerKind, cells: readonly PlannedCell[], failures: Failures): string {
  const columns = WRAPPINGS.filter(({ esn }) => !esn);
  const sign = (proposal: string, wrapping: Wrapping) =>
    signOf(
      cells.find((cell) => cell.suite.proposal === proposal && isDeepStrictEqual(cell.wrapping, wrapping)),
      failures,
    );
  const rows = SUITES.filter(({ isShortest }) => isShortest).map(({ proposal }) => {
    const signs = columns.map((column) =>
      [false, true].map((esn) => sign(proposal, { ...column, esn })).join(' '),
    );
    return `| \`${proposal}\` | ${signs.join(' | ')} |`;
  });
  const [base] = WRAPPINGS;
  const longer = SUITES.filter(({ isShortest }) => !isShortest).map(
    ({ proposal }) => `\`${proposal}\` ${base === undefined ? '' : sign(proposal, base)}`,
  );
  return [
    `## ${TITLES[peer]}\n`,
    `| | ${columns.map(headingOf).join(' | ')} |`,
    `|---|${columns.map(() => ':-:').join('|')}|`,
    ...rows,
    '',
    `Longer keys, ${base === undefined ? '' : headingOf(base)}: ${longer.join(', ')}.`,
    '',
    ...OBSTACLES[peer].map(
      ({ letter, reason, words }) => `- ${letter}: ${reason} (its charon says \`${words}\`)`,
    ),
    ...(OBSTACLES[peer].length > 0 ? [''] : []),
  ].join('\n');
}

function headingOf({ mode, way, outside, inside }: Wrapping): string {
  return `${mode} ${way === 'udp' ? 'UDP' : 'ESP'} ${mode === 'tunnel' ? `${inside} in ${outside}` : outside}`;
}

function signOf(cell: PlannedCell | undefined, failures: Failures): string {
  if (cell === undefined) throw new Error('no such cell');
  if (cell.obstacle !== undefined) return cell.obstacle.letter;
  if (failures.has(cell)) return FAILED;
  return cell.isEveryTime ? PASSED : PASSED_IN_SOAK;
}
