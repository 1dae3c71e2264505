import { expect } from 'chai';
import { KernelSourcePorts } from '../../src/agents/target/source-ports.ts';
import type { Ports } from '../../src/connections/port-leases.ts';
import type { Log } from '../../src/observe/log.ts';
import { silent } from '../support/cluster/router.ts';

const ALL: Ports = { from: 32_768, to: 60_999 };
const OWN: Ports = { from: 32_768, to: 42_177 };

function setUp(isManaged: boolean) {
  const said: string[] = [];
  const log: Log = { ...silent, warn: (message) => said.push(message) };
  const kernel = { range: ALL, sets: 0 };
  const range = {
    read: async () => kernel.range,
    set: async (ports: Ports) => {
      kernel.range = ports;
      kernel.sets++;
    },
    restore: async () => {
      kernel.range = ALL;
    },
  };
  return { ports: new KernelSourcePorts({ log, range, isManaged }), kernel, said };
}

describe('source ports of a target’s kernel', () => {
  it('are managed or not as a reload says: set at once, and put back', async () => {
    const { ports, kernel, said } = setUp(false);
    await ports.changed([{ all: ALL, own: OWN }]);
    await ports.manage(true);
    expect(kernel.range).deep.equal(OWN);
    await ports.manage(false);
    expect([kernel.range, said.length]).deep.equal([ALL, 2]);
  });

  it('are those that all DVIPAs lease to this host, if the agent may set them', async () => {
    const { ports, kernel, said } = setUp(true);
    await ports.changed([{ all: ALL, own: OWN }]);
    expect(kernel.range).deep.equal(OWN);
    await ports.changed([
      { all: ALL, own: OWN },
      { all: ALL, own: { from: 40_000, to: 50_000 } },
    ]);
    expect(kernel.range).deep.equal({ from: 40_000, to: 42_177 });
    await ports.changed([
      { all: ALL, own: OWN },
      { all: ALL, own: { from: 40_000, to: 50_000 } },
    ]);
    expect([kernel.sets, said]).deep.equal([2, []]);
  });

  it('are left alone where it may not, and it says what is wrong', async () => {
    const { ports, kernel, said } = setUp(false);
    await ports.changed([{ all: ALL, own: OWN }]);
    expect(said).deep.equal(['the kernel takes source ports that are not leased to this host']);
    kernel.range = { from: 33_000, to: 42_177 };
    await ports.changed([{ all: ALL, own: { from: 32_768, to: 42_178 } }]);
    expect([said.length, kernel.sets]).deep.equal([1, 0]);
  });

  it('stay as they are where nothing is leased to it by all', async () => {
    const { ports, kernel, said } = setUp(true);
    await ports.changed([]);
    expect(said).deep.equal([]);
    await ports.changed([{ all: ALL, own: undefined }]);
    await ports.changed([
      { all: ALL, own: OWN },
      { all: ALL, own: { from: 50_000, to: 50_100 } },
    ]);
    expect(said).deep.equal(Array(2).fill('no source port is leased to this host for all of its DVIPAs'));
    expect(kernel.range).deep.equal(ALL);
  });
});
