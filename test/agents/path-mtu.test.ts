import { expect } from 'chai';
import { encodeFragmentationNeeded } from '../../src/packet/icmp.ts';
import { IP_PROTOCOL } from '../../src/packet/protocols.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { ENDPOINT, ipv4 } from '../support/inner-packets.ts';
import { outerOf, type SaPair } from '../support/cluster/charon.ts';
import { udp } from '../support/inner-packets.ts';
import { drops } from './cluster-helpers.ts';

const MINUTE = 60_000;

/** A router on the way says that a packet of this SA is too long. */
function fragmentationNeeded(pair: SaPair, mtu: number): Buffer {
  const esp = Buffer.alloc(1400);
  esp.writeUInt32BE(pair.spiOut, 0);
  const quote = udp({
    source: ENDPOINT,
    destination: outerOf(pair.client),
    sourcePort: 4500,
    destinationPort: 4500,
    data: esp,
  }).subarray(0, 548);
  const payload = Buffer.concat([Buffer.alloc(8), quote]);
  encodeFragmentationNeeded(payload, 0, mtu, quote.length);
  return ipv4({ source: '192.0.2.254', destination: ENDPOINT, protocol: IP_PROTOCOL.ICMP, payload });
}

/** What each target's SAs to this client take, by SPI. */
function mtusOf(cluster: MemoryCluster, client = 1) {
  return cluster.targets.map(({ cache }) => {
    const now = cluster.clock.now();
    const entries = [...cache.outbound.values()].filter(({ sa }) => sa.group === client);
    return entries.map(({ fit }) => {
      fit.refresh(now);
      return fit.outerMtu;
    });
  });
}

describe('the path MTU to a peer', () => {
  const setUp = async (clients = 1) => {
    const cluster = new MemoryCluster({ clients });
    await cluster.up();
    const pair = cluster.charon.pairs.at(0) as SaPair;
    cluster.router.captured(fragmentationNeeded(pair, 1300));
    await cluster.run(10);
    return { cluster, pair };
  };

  it('reaches every target when a router tells the routing host, and concerns this peer only', async () => {
    const { cluster } = await setUp(2);
    expect(mtusOf(cluster)).to.deep.equal([[1300], [1300], [1300]]);
    expect(mtusOf(cluster, 2)).to.deep.equal([[1500], [1500], [1500]]);
    expect(drops(cluster)).to.deep.equal({});
  });

  it('is what it was after a rekey', async () => {
    const { cluster } = await setUp();
    await cluster.rekey(1);
    await cluster.run(400);
    expect(mtusOf(cluster)).to.deep.equal([[1300], [1300], [1300]]);
  });

  it('is told to a target that comes later, and stays known to one whose session broke', async () => {
    const { cluster } = await setUp();
    cluster.killTarget(2);
    cluster.startTarget(2);
    cluster.cut(3);
    await cluster.run(300);
    expect(mtusOf(cluster)).to.deep.equal([[1300], [1300], [1300]]);
  });

  it('is another one when the peer has moved', async () => {
    const { cluster, pair } = await setUp();
    cluster.charon.move(pair, '192.0.2.222', 4500);
    await cluster.run(10);
    expect(mtusOf(cluster)).to.deep.equal([[1500], [1500], [1500]]);
  });

  it('is told again to a target that does not know it, though the routing host does', async () => {
    const { cluster, pair } = await setUp();
    for (const { cache } of cluster.targets) {
      for (const { fit } of cache.outbound.values()) fit.path.current(cluster.clock.now() + 10 * MINUTE);
    }
    expect(mtusOf(cluster)).to.deep.equal([[1500], [1500], [1500]]);
    await cluster.run(100);
    cluster.router.captured(fragmentationNeeded(pair, 1300));
    await cluster.run(10);
    expect(mtusOf(cluster)).to.deep.equal([[1300], [1300], [1300]]);
  });

  it('is not what a message about an SA that is gone says', async () => {
    const { cluster, pair } = await setUp();
    await cluster.rekey(1);
    await cluster.run(400);
    cluster.router.captured(fragmentationNeeded(pair, 1000));
    await cluster.run(10);
    expect(mtusOf(cluster)).to.deep.equal([[1300], [1300], [1300]]);
    expect(drops(cluster)).to.deep.equal({ 'path-mtu-refused': 1 });
  });
});
