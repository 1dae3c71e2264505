import type { TargetKind } from '../../src/coupling/records.ts';
import type { SaSnapshot } from '../../src/observe/snapshots.ts';
import { targetAddress } from '../support/cluster/router.ts';
import type { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { EspPeer } from '../support/esp-peer.ts';
import { ACK, DVIPA, ENDPOINT, espInUdp, tcp } from '../support/inner-packets.ts';

/** Of a datagram with ESP in UDP over IPv4, under AES-GCM: headers and IV, then the inner IPv4 header. */
const INNER_AT = 20 + 8 + 8 + 8;
const SOURCE_PORT_AT = INNER_AT + 20;

/** AES-GCM is malleable: whoever knows what stands there makes the peek see another port. The ICV is wrong then. */
export function withPort(datagram: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.from(datagram);
  copy.writeUInt16BE(copy.readUInt16BE(SOURCE_PORT_AT) ^ from ^ to, SOURCE_PORT_AT);
  return copy;
}

/** Packets of client 1's SA with a wrong ICV, one a connection; the peek sees nothing wrong. Numbers from `first`. */
export function forgedSegments(cluster: MemoryCluster, first: number, count: number): Buffer[] {
  const pair = cluster.charon.pairs.at(-1);
  if (pair === undefined) throw new Error('no SA');
  const peer = new EspPeer(pair.suite, pair.spiIn);
  return Array.from({ length: count }, (_, i) => {
    const inner = tcp({ destination: DVIPA, sourcePort: 10_000 + ((first + i) % 20_000), flags: ACK });
    const datagram = espInUdp(peer.seal(inner, first + i), { destination: ENDPOINT });
    datagram.writeUInt8(datagram.readUInt8(datagram.length - 1) ^ 1, datagram.length - 1);
    return datagram;
  });
}

/** Keeps back what the target would send of this kind in its present session. Returns how to let it go. */
export function withhold(cluster: MemoryCluster, n: number, kind: TargetKind): () => void {
  const { session } = cluster.target(n).relations;
  if (session === undefined) throw new Error(`target${n} has no session`);
  const kept: (() => void)[] = [];
  const send = session.send.bind(session);
  session.send = (of, body) => {
    if (of !== kind) return send(of, body);
    kept.push(() => send(of, body));
    return 0;
  };
  return () => {
    session.send = send;
    for (const go of kept.splice(0)) go();
  };
}

/** The same from the target's next session on, for good. */
export function withholdFromStart(cluster: MemoryCluster, n: number, kind: TargetKind): void {
  const { relations } = cluster.target(n);
  const onOpen = relations.onOpen.bind(relations);
  relations.onOpen = (session) => {
    onOpen(session);
    withhold(cluster, n, kind);
  };
}

/** Keeps back what the routing host sends to the target over the link. Returns how to let it arrive. */
export function holdLink({ network }: MemoryCluster, n: number): () => void {
  const toLink = network.toLink.bind(network);
  const kept: (() => void)[] = [];
  network.toLink = (address, datagram) => {
    if (address === targetAddress(n)) kept.push(() => toLink(address, datagram));
    else toLink(address, datagram);
  };
  return () => {
    network.toLink = toLink;
    for (const go of kept.splice(0)) go();
  };
}

/** These targets refuse inbound SAs from now on. Returns how to end that. */
export function refuseInbound(
  cluster: MemoryCluster,
  targets: readonly number[],
  reason: string,
): () => void {
  const ends = targets.map((n) => {
    const { cache } = cluster.target(n);
    const install = cache.install.bind(cache);
    cache.install = (record, epoch) => (record.sa.direction === 'in' ? reason : install(record, epoch));
    return () => void (cache.install = install);
  });
  return () => {
    for (const end of ends) end();
  };
}

/** The states of the SA that came last in this direction, by target; with the reason, if there is one. */
export function statesOf(cluster: MemoryCluster, direction: 'in' | 'out' = 'in'): Record<string, string> {
  const { targets = [] } = newestSa(cluster, direction);
  return Object.fromEntries(
    targets.map(({ host, state, reason }) => [host, reason === undefined ? state : `${state}: ${reason}`]),
  );
}

/** The SA that came last in this direction, as `dvipa sas` has it. */
export function newestSa(cluster: MemoryCluster, direction: 'in' | 'out' = 'in'): SaSnapshot {
  const [newest] = cluster.router.answers
    .sas()
    .filter((sa) => sa.direction === direction)
    .toSorted((a, b) => numberOf(b) - numberOf(a));
  if (newest === undefined) throw new Error('no SA');
  return newest;
}

const numberOf = ({ id }: SaSnapshot) => Number(id.split(':')[1]);

export const opening = (cluster: MemoryCluster) => {
  const { opening: snapshot } = cluster.router.answers.status();
  if (snapshot === undefined) throw new Error('not a routing host');
  return snapshot;
};
