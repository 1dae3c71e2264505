import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import type { EspPeer } from './esp-peer.ts';
import {
  CLIENT,
  CLIENT6,
  CLIENT6_INNER,
  CLIENT_INNER,
  DVIPA,
  DVIPA6,
  ENDPOINT,
  ENDPOINT6,
} from './inner-packets.ts';
import { espDatagram } from './ip-packets.ts';
import { selectorOf, testSa } from './test-sas.ts';

/** One way that ESP can be: families, mode, encapsulation. */
export interface Cell {
  readonly outside: 4 | 6;
  readonly inside: 4 | 6;
  readonly mode: 'tunnel' | 'transport';
  readonly isUdp: boolean;
}

export const CELLS: readonly Cell[] = ([4, 6] as const).flatMap((outside) =>
  ([4, 6] as const).flatMap((inside) =>
    (['tunnel', 'transport'] as const).flatMap((mode) =>
      [true, false].flatMap((isUdp) =>
        mode === 'tunnel' || outside === inside ? [{ outside, inside, mode, isUdp }] : [],
      ),
    ),
  ),
);

/** Addresses of a cell. In transport mode the DVIPA is its own endpoint, and the peer's inner address its outer one. */
export function addressesOf({ outside, inside, mode }: Cell) {
  const dvipa = inside === 4 ? DVIPA : DVIPA6;
  const peer = outside === 4 ? CLIENT : CLIENT6;
  if (mode === 'transport') return { dvipa, endpoint: dvipa, peer, inner: peer };
  const endpoint = outside === 4 ? ENDPOINT : ENDPOINT6;
  return { dvipa, endpoint, peer, inner: inside === 4 ? CLIENT_INNER : CLIENT6_INNER };
}

export function cellSa(cell: Cell, direction: 'in' | 'out', spi: number): SecurityAssociation {
  const { dvipa, endpoint, peer, inner } = addressesOf(cell);
  const isIn = direction === 'in';
  const port = cell.isUdp ? 4500 : 0;
  const [ours, theirs] = [[selectorOf(dvipa)], [selectorOf(inner)]];
  return {
    ...testSa({ spi, direction, dvipa }),
    mode: cell.mode,
    hasUdpEncapsulation: cell.isUdp,
    outer: {
      source: isIn ? peer : endpoint,
      destination: isIn ? endpoint : peer,
      sourcePort: port,
      destinationPort: port,
    },
    sourceSelectors: isIn ? theirs : ours,
    destinationSelectors: isIn ? ours : theirs,
  };
}

export const ipHeaderBytes = (family: 4 | 6) => (family === 4 ? 20 : 40);

/** Next header of a TCP segment's ESP trailer. */
export const nextHeaderOf = ({ mode, inside }: Cell) => (mode === 'transport' ? 6 : inside === 4 ? 4 : 41);

/** What the peer puts on the wire for an inner packet. */
export function sealedBy(peer: EspPeer, cell: Cell, packet: Buffer, sequence?: number): Buffer {
  const { endpoint, peer: source } = addressesOf(cell);
  const inner = cell.mode === 'transport' ? packet.subarray(ipHeaderBytes(cell.inside)) : packet;
  const esp = peer.seal(inner, sequence, { nextHeader: nextHeaderOf(cell) });
  return espDatagram(esp, { source, destination: endpoint, ports: cell.isUdp ? [4500, 4500] : undefined });
}
