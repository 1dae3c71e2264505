import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  connectionFilter,
  countConnections,
  listConnections,
  type SeenConnection,
  topSources,
  type VisitConnections,
} from '../../src/agents/connection-query.ts';
import { addr } from '../support/inner-packets.ts';
import { connection } from './cluster-helpers.ts';
import { MemoryCluster } from '../support/cluster/memory-cluster.ts';

const DVIPAS = ['203.0.113.10', '2001:db8::10'];
const SOURCES = ['10.1.1.1', '10.1.2.1', '10.2.0.1', '2001:db8:1::1'];
const STATES = ['tentative', 'opening', 'confirmed', 'closing'] as const;

interface Plain {
  readonly dvipa: string;
  readonly source: string;
  readonly protocol: number;
  readonly destinationPort: number;
  readonly target: string;
  readonly state: (typeof STATES)[number];
}

const connections = fc.record({
  dvipa: fc.constantFrom(...DVIPAS),
  source: fc.constantFrom(...SOURCES),
  protocol: fc.constantFrom(6, 17, 1),
  destinationPort: fc.constantFrom(80, 443),
  target: fc.constantFrom('target1', 'target2'),
  state: fc.constantFrom(...STATES),
});

const seenOf = ({ dvipa, source, protocol, destinationPort, target, state }: Plain): SeenConnection => ({
  key: { dvipa: addr(dvipa), source: addr(source), group: 1, protocol, sourcePort: 40_000, destinationPort },
  target,
  state,
});

const visitorOf =
  (list: readonly Plain[]): VisitConnections =>
  async (visit) => {
    for (const one of list) if (!visit(seenOf(one))) break;
  };

const one: Plain = {
  dvipa: '203.0.113.10',
  source: '10.1.1.1',
  protocol: 6,
  destinationPort: 80,
  target: 'target1',
  state: 'confirmed',
};

describe('connections that are asked for', () => {
  it('are those that agree with every filter, for any filters and connections', () => {
    const filters = fc.record(
      {
        dvipa: fc.constantFrom(...DVIPAS),
        source: fc.constantFrom(...SOURCES),
        protocol: fc.constantFrom(6, 17, 132),
        port: fc.constantFrom(80, 22),
        target: fc.constantFrom('target1', 'target3'),
        state: fc.constantFrom(...STATES),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(filters, connections, (filter, plain) => {
        const { port, ...same } = filter;
        const agrees =
          (port === undefined || plain.destinationPort === port) &&
          Object.entries(same).every(([name, value]) => plain[name as keyof typeof same] === value);
        expect(connectionFilter(filter)(seenOf(plain))).to.equal(agrees);
      }),
    );
  });

  it('are named by protocols and networks of either family', () => {
    const agrees = (filter: Parameters<typeof connectionFilter>[0], source = one.source) =>
      connectionFilter(filter)(seenOf({ ...one, source }));
    expect([agrees({ protocol: 'tcp' }), agrees({ protocol: 'udp' })]).to.deep.equal([true, false]);
    expect(SOURCES.map((source) => agrees({ source: '10.1.0.0/16' }, source))).to.deep.equal([
      true,
      true,
      false,
      false,
    ]);
    expect(SOURCES.map((source) => agrees({ source: '2001:db8::/32' }, source))).to.deep.equal([
      false,
      false,
      false,
      true,
    ]);
    expect(
      SOURCES.map((source) => agrees({ source: '0.0.0.0/0' }, source)),
      'of its family',
    ).to.deep.equal([true, true, true, false]);
  });

  it('are listed up to the limit, and no further is looked', async () => {
    let visited = 0;
    const visit: VisitConnections = async (see) => {
      for (; visited < 100; visited++) if (!see(seenOf(one))) break;
    };
    expect(await listConnections(visit, { limit: 3 })).to.have.lengthOf(3);
    expect(visited).to.equal(2);
  });

  it('are counted by target and state, and ranked by source', async () => {
    const list = [
      one,
      { ...one, state: 'closing' as const },
      { ...one, target: 'target2', source: '10.2.0.1' },
    ];
    expect(await countConnections(visitorOf(list), {})).to.deep.equal({
      total: 3,
      targets: [
        { target: 'target1', tentative: 0, opening: 0, confirmed: 1, closing: 1 },
        { target: 'target2', tentative: 0, opening: 0, confirmed: 1, closing: 0 },
      ],
    });
    expect(await topSources(visitorOf(list), { top: 1 })).to.deep.equal([
      { source: '10.1.1.1', group: 1, connections: 2 },
    ]);
    expect(await countConnections(visitorOf(list), { state: 'tentative' })).to.deep.equal({
      total: 0,
      targets: [],
    });
  });

  it('are found in the table of a routing host and the flows of a target, and wrong questions refused', async () => {
    const cluster = new MemoryCluster({ clients: 2 });
    await cluster.up();
    const opened = [await connection(cluster), await connection(cluster), await connection(cluster, 2)];
    const [first] = opened;
    const { answers } = cluster.router;
    const at = `target${first?.at}`;
    const [found, ...others] = await answers.connections({ target: at });
    expect(others).to.deep.equal([]);
    expect(found).to.include({ sourcePort: first?.port, target: at, state: 'confirmed' });
    expect(await cluster.target(first?.at ?? 0).answers.connections({ port: 80 })).to.have.lengthOf(1);
    expect(await cluster.target(first?.at ?? 0).answers.connections({ port: 81 })).to.deep.equal([]);
    expect(await answers.connections({ limit: 2 })).to.have.lengthOf(2);
    expect(await answers['connection-counts']()).to.deep.include({ total: 3 });
    await cluster.run(1200); // targets report what their SAs carried once a second
    const [busiest] = await answers['connection-top']({ top: 1 });
    expect(busiest).to.include({ group: 1, connections: 2 });
    expect(busiest?.packets).to.be.greaterThan(0);
    for (const [args, message] of [
      [{ target: 'nobody' }, 'no target is named "nobody"'],
      [{ limit: 1_000_000 }, 'limit: '],
      [{ source: '10.1.1.1/40' }, 'source: expected an IP address or a network'],
      [{ protocol: 'esp' }, 'protocol: '],
      [{ colour: 'red' }, 'Unrecognized key'],
    ] as const) {
      const error: unknown = await answers.connections(args).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(Error);
      expect((error as Error).message).to.contain(message);
    }
    cluster.close();
  });
});
