import { type Cell, type PeerKind, SUITES, type Wrapping, WRAPPINGS } from './cells.ts';
import { OBSTACLES, type PlannedCell } from './plan.ts';

/** docs/interoperability.md, made from the plan and from what failed. */

const ALWAYS = '●';
const FULL = '○';
const FAILED = '✗';
const NONE = '–';

const TITLES: Readonly<Record<PeerKind, string>> = {
  kernel: 'A Linux kernel (6.1, XFRM, in User Mode Linux)',
  libipsec: "strongSwan's ESP in user space (kernel-libipsec)",
  scapy: 'Packets made by scapy',
};

const INTRODUCTION = `# Interoperability

Made by the test \`test/interop/matrix.test.ts\`, which fails when this page says something else than it found. \`make test\` runs the
cells with ${ALWAYS}; \`DVIPA_MATRIX=full\` (as \`make soak\` sets it) runs those with ${FULL} as well.

A cell is one peer, one pair of algorithms, one wrapping. Each has a CHILD_SA of its own, negotiated by IKEv2 by a stock charon;
what charon then lists (mode, encapsulation, algorithms, ESN) must be what the cell is about. Through it a file goes from the
peer to the DVIPA and another one back, over TCP, both with their hash checked; then the CHILD_SA is rekeyed, one half of them
by the peer and the other by us, and both files go again. Two targets take turns, so one of them sends through the funnel. No
agent may have dropped a packet as a fault of its own, and the kernel's own counters must show no integrity and no replay
failure.

Columns: the mode; *UDP* is ESP in UDP (port 4500), *ESP* is IP protocol 50; *4 in 6* is IPv4 inside of IPv6. In transport mode
inner and outer addresses are the same, so the families do not mix. A tunnel goes to the endpoint in front of the DVIPA, transport
mode to the DVIPA itself. The first sign of a cell is without ESN, the second one with.

${ALWAYS} runs in every \`make test\`; ${FULL} in a full run only; ${NONE} not in the matrix (a longer key differs in nothing but its
length); a letter: the peer cannot, for the reason below the table.
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
  const rows = SUITES.map(({ proposal }) => {
    const signs = columns.map((column) =>
      [false, true]
        .map((esn) => {
          const wanted = headingOf(column);
          const cell = cells.find(
            ({ suite, wrapping }) =>
              suite.proposal === proposal && wrapping.esn === esn && headingOf(wrapping) === wanted,
          );
          return signOf(cell, failures);
        })
        .join(' '),
    );
    return `| \`${proposal}\` | ${signs.join(' | ')} |`;
  });
  const obstacles = OBSTACLES[peer].map(({ letter, reason }) => `- ${letter}: ${reason}`);
  return [
    `## ${TITLES[peer]}\n`,
    `| | ${columns.map(headingOf).join(' | ')} |`,
    `|---|${columns.map(() => ':-:').join('|')}|`,
    ...rows,
    '',
    ...(obstacles.length > 0 ? [...obstacles, ''] : []),
  ].join('\n');
}

function headingOf({ mode, way, outside, inside }: Wrapping): string {
  return `${mode} ${way === 'udp' ? 'UDP' : 'ESP'} ${mode === 'tunnel' ? `${inside} in ${outside}` : outside}`;
}

function signOf(cell: PlannedCell | undefined, failures: Failures): string {
  if (cell === undefined) return NONE;
  if (cell.obstacle !== undefined) return cell.obstacle.letter;
  if (failures.has(cell)) return FAILED;
  return cell.isAlways ? ALWAYS : FULL;
}
