import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { AdminCommandError, AgentUnreachableError, askAgent } from '../../src/io/admin-client.ts';
import { type AdminServer, startAdminServer } from '../../src/io/admin-server.ts';
import { followAgent } from '../../src/io/admin-stream.ts';

describe('admin streams', () => {
  let folder = '';
  let path = '';
  let server: AdminServer;
  let made = 0;
  const returned: true[] = [];

  async function* counting(limit: number) {
    try {
      for (made = 0; made < limit; made++) {
        await turn();
        yield { number: made, text: 'x'.repeat(1000) };
      }
    } finally {
      returned.push(true);
    }
  }
  async function* failing() {
    yield { number: 1 };
    await turn();
    throw new Error('the source is gone');
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-admin-'));
    path = join(folder, 'route.sock');
    returned.length = 0;
    server = await startAdminServer(path, {
      count: ({ limit }) => counting(Number(limit)),
      fail: () => failing(),
      once: () => ({ plain: true }),
    });
  });
  afterEach(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function all(command: string, args = {}): Promise<unknown[]> {
    const items: unknown[] = [];
    for await (const item of followAgent(path, command, args)) items.push(item);
    return items;
  }
  const failureOf = (work: Promise<unknown>): Promise<Error> =>
    work.then(
      () => expect.fail('expected a rejection'),
      (error: Error) => error,
    );

  it('an admin stream yields every item in order and ends', async () => {
    const items = (await all('count', { limit: 300 })) as { number: number }[];
    expect(items.map(({ number }) => number)).to.deep.equal([...Array(300).keys()]);
  });

  it('an admin stream is stopped at its source when the client leaves', async () => {
    for await (const item of followAgent(path, 'count', { limit: 1e9 })) {
      if ((item as { number: number }).number === 5) break;
    }
    for (let tries = 0; returned.length === 0 && tries < 500; tries++) await wait(5);
    expect(returned).to.have.length(1);
  });

  it('an admin stream waits for a client that does not read', async () => {
    const socket = createConnection(path);
    socket.write('{"command":"count","args":{"limit":1000000000}}\n');
    socket.pause();
    let before = -1;
    for (let tries = 0; made !== before && tries < 200; tries++) {
      before = made;
      await wait(50);
    }
    expect(made).to.equal(before);
    socket.destroy();
  });

  it('an admin stream tells why its source failed, after what came before', async () => {
    const items: unknown[] = [];
    const failure = await failureOf(
      (async () => {
        for await (const item of followAgent(path, 'fail')) items.push(item);
      })(),
    );
    expect(failure).to.be.instanceOf(AdminCommandError);
    expect(failure.message).to.equal('the source is gone');
    expect(items).to.deep.equal([{ number: 1 }]);
  });

  it('an admin stream and an answer are not taken for each other', async () => {
    expect((await failureOf(all('once'))).message).to.equal(`${path}: once is no stream`);
    expect((await failureOf(askAgent(path, 'count', { args: { limit: 3 } }))).message).to.equal(
      `${path}: count is a stream`,
    );
  });

  it('an admin stream says that the agent is not there, or has gone', async () => {
    const following = failureOf(all('count', { limit: 1e9 }));
    await wait(50);
    await server.close();
    const gone = await following;
    expect(gone).to.be.instanceOf(AgentUnreachableError);
    expect(gone.message).to.equal(`${path}: the agent closed the connection`);
    const absent = await failureOf(all('count'));
    expect(absent.message).to.equal(`${path}: no such socket, is the agent running?`);
  });
});
