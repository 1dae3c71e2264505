import type { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';

/** Opens a connection and waits for the answer. Returns its port and its target (0: not delivered). */
export async function connection(
  cluster: MemoryCluster,
  client = 1,
): Promise<{ port: number; at: number; text: string }> {
  const { port, text, datagram } = cluster.client(client).open();
  cluster.send(datagram);
  await cluster.run(10);
  return { port, text, at: cluster.deliveredTo(text) ?? 0 };
}

/** Sends `count` segments on a connection, one a millisecond; returns their texts and datagrams. */
export async function load(cluster: MemoryCluster, port: number, count: number, client = 1) {
  const sent: { text: string; datagram: Buffer }[] = [];
  for (let i = 0; i < count; i++) {
    const segment = cluster.client(client).segment(port);
    sent.push(segment);
    cluster.send(segment.datagram);
    await cluster.run(1);
  }
  return sent;
}

export const answers = (cluster: MemoryCluster, texts: readonly { text: string }[], client = 1) =>
  texts.filter(({ text }) => cluster.client(client).answered.has(text)).length;

export const drops = (cluster: MemoryCluster) => counted(cluster.router.drops);
