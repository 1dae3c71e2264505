import { expect } from 'chai';
import type { TargetRecord } from '../../src/coupling/records.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';
import { counted } from '../support/dataplane-parts.ts';
import { addr, DVIPA, OTHER_DVIPA } from '../support/inner-packets.ts';
import { equalAddresses } from '../../src/packet/address.ts';
import { connection } from './cluster-helpers.ts';

const TCP = 6 << 16;
const UDP = 17 << 16;

/** A cluster of which one target is looked at: what it sends, and what the routing host makes of it. */
function watched(options: { targets?: number; authorised?: number } = {}) {
  const cluster = new MemoryCluster({ targets: 1, ...options });
  const records: TargetRecord[] = [];
  const given: { target: number; ports: number[] }[] = [];
  const loads: [target: number, load: number][] = [];
  const watch = () => {
    const { sessions, distributor } = cluster.router;
    const onRecord = sessions.onRecord.bind(sessions);
    sessions.onRecord = (session, record) => {
      records.push(record);
      return onRecord(session, record);
    };
    distributor.setListeners = (target, dvipa, ports) => {
      expect(equalAddresses(dvipa, 0, addr(DVIPA), 0)).to.equal(true);
      given.push({ target, ports: [...ports] });
    };
    distributor.setLoad = (target, load) => void loads.push([target, load]);
  };
  watch();
  const kinds = () => records.map(({ kind }) => kind);
  const listeners = () =>
    records.flatMap((record) => (record.kind === 'listeners' ? [[...record.body.tcp]] : []));
  return { cluster, records, given, loads, kinds, listeners, watch };
}

describe('listeners of a target', () => {
  it('are told when the DVIPA comes, before any SA of it serves, and given to the distribution', async () => {
    const { cluster, given, kinds } = watched();
    cluster.target(1).listening.tcp.add(443);
    await cluster.target(1).listening.look(true);
    await cluster.up();
    expect(given).to.deep.equal([{ target: 0, ports: [TCP | 80, TCP | 443, UDP | 53] }]);
    expect(kinds().indexOf('listeners')).to.be.lessThan(kinds().indexOf('sa-installed'));
  });

  it('are told before the windows end when the session comes back: then dispatch begins', async () => {
    const { cluster, kinds, records } = watched();
    await cluster.up();
    records.splice(0);
    cluster.cut(1);
    await cluster.run(100);
    expect(kinds()).to.include('windows-end');
    expect(kinds().indexOf('listeners')).to.be.within(0, kinds().indexOf('windows-end'));
    expect(kinds().filter((kind) => kind === 'listeners')).to.have.lengthOf(1);
  });

  it('are told again within 200 ms when they change, and only then', async () => {
    const { cluster, listeners } = watched();
    await cluster.up();
    await cluster.run(1000);
    expect(listeners()).to.deep.equal([[80]]);
    cluster.target(1).listening.tcp.add(22);
    await cluster.run(205);
    expect(listeners()).to.deep.equal([[80], [22, 80]]);
    cluster.target(1).listening.tcp.clear();
    await cluster.run(205);
    expect(listeners()).to.deep.equal([[80], [22, 80], []]);
  });

  it('are looked at when the kernel refuses a connection, not so often when it refuses many', async () => {
    const { cluster, listeners } = watched();
    await cluster.up();
    cluster.target(1).listening.tcp.clear();
    const { thoroughLooks } = cluster.target(1).listening;
    await connection(cluster);
    expect(listeners()).to.deep.equal([[80], []]);
    for (let i = 0; i < 40; i++) cluster.send(cluster.client(1).open().datagram);
    await cluster.run(15);
    expect(cluster.target(1).listening.thoroughLooks - thoroughLooks).to.be.within(1, 2);
  });

  it('stay what they were when they cannot be looked at, and are told when they can again', async () => {
    const { cluster, listeners } = watched();
    await cluster.up();
    const { listening } = cluster.target(1);
    const look = listening.look.bind(listening);
    listening.look = () => Promise.reject(new Error('EMFILE'));
    listening.tcp.add(81);
    await cluster.run(1000);
    expect(listeners()).to.deep.equal([[80]]);
    listening.look = look;
    await cluster.run(205);
    expect(listeners()).to.deep.equal([[80], [80, 81]]);
  });

  it('are told to a restarted routing agent', async () => {
    const { cluster, given, watch } = watched();
    await cluster.up();
    cluster.killRouter();
    cluster.startRouter();
    watch();
    given.splice(0);
    await cluster.run(100);
    expect(given).to.deep.equal([{ target: 0, ports: [TCP | 80, UDP | 53] }]);
  });

  it('are not believed for a DVIPA that the target is not authorised for', async () => {
    const { cluster, given } = watched({ targets: 2, authorised: 1 });
    await cluster.up();
    given.splice(0);
    cluster.target(2).relations.session?.send('listeners', { dvipa: DVIPA, tcp: [80], udp: [] });
    cluster.target(1).relations.session?.send('listeners', { dvipa: OTHER_DVIPA, tcp: [80], udp: [] });
    await cluster.run(5);
    expect(given).to.deep.equal([]);
    expect(counted(cluster.router.drops)).to.deep.equal({ 'coupling-not-granted': 2 });
  });
});

describe('load of a target', () => {
  const busyFor = async (cluster: MemoryCluster, perMille: number) => {
    const target = cluster.target(1);
    target.cpu = { busy: target.cpu.busy + perMille, total: target.cpu.total + 1000 };
    await cluster.run(1000);
  };

  it('is told once a second when it has changed by more than a little, smoothed', async () => {
    const { cluster, loads } = watched();
    await cluster.up();
    await cluster.run(1000 - cluster.clock.now());
    await busyFor(cluster, 400);
    await busyFor(cluster, 410);
    await busyFor(cluster, 400);
    await busyFor(cluster, 800);
    expect(loads).to.deep.equal([
      [0, 400],
      [0, 601],
    ]);
  });

  it('is told when a session begins, whatever was told before', async () => {
    const { cluster, loads } = watched();
    await cluster.up();
    await cluster.run(1000 - cluster.clock.now());
    await busyFor(cluster, 300);
    cluster.cut(1);
    await cluster.run(100);
    expect(loads).to.deep.equal([
      [0, 300],
      [0, 300],
    ]);
  });

  it('that cannot be measured is not told, and stops nothing', async () => {
    const { cluster, loads } = watched();
    await cluster.up();
    await cluster.run(3000);
    expect(loads).to.deep.equal([]); // its processors' clock stands still here
    expect((await connection(cluster)).at).to.equal(1);
  });
});
