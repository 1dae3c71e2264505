import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { AdminCommandError, AgentUnreachableError, askAgent } from '../../src/io/admin-client.ts';
import { MAX_CLIENTS, MAX_REQUEST_BYTES } from '../../src/io/admin-protocol.ts';
import { type AdminCommands, type AdminServer, startAdminServer } from '../../src/io/admin-server.ts';

describe('admin socket', () => {
  let folder = '';
  let path = '';
  const servers: AdminServer[] = [];
  const sockets: Socket[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-admin-'));
    path = join(folder, 'run', 'route.sock');
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(commands: AdminCommands = {}): Promise<AdminServer> {
    const server = await startAdminServer(path, {
      status: () => ({ role: 'route', big: 2n ** 63n }),
      echo: (args) => args,
      fail: () => {
        throw new Error('not now');
      },
      ...commands,
    });
    servers.push(server);
    return server;
  }

  /** A raw client: what it received once the server has closed, or `lines` lines have arrived. */
  function talk(lines: number, ...chunks: (string | Buffer)[]): Promise<string[]> {
    return new Promise((resolve, reject) => {
      let received = '';
      const socket = createConnection(path);
      sockets.push(socket);
      const finish = () => resolve(received.split('\n').slice(0, -1));
      socket.on('error', reject);
      socket.on('close', finish);
      socket.on('data', (chunk) => {
        received += chunk.toString();
        if (received.split('\n').length > lines) finish();
      });
      for (const chunk of chunks) socket.write(chunk);
    });
  }

  async function failureOf(promise: Promise<unknown>): Promise<Error> {
    try {
      await promise;
    } catch (error) {
      return error as Error;
    }
    throw new Error('expected a rejection');
  }

  it('the admin socket answers a command, 64-bit numbers as text', async () => {
    await start();
    expect(await askAgent(path, 'status')).to.deep.equal({ role: 'route', big: '9223372036854775808' });
    expect(await askAgent(path, 'echo', { args: { name: 'naïve 😀' } })).to.deep.equal({ name: 'naïve 😀' });
  });

  it('the admin socket is for its owner only, whatever the umask, and so is a folder it makes', async () => {
    const before = process.umask(0);
    try {
      await start();
    } finally {
      process.umask(before);
    }
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(statSync(join(folder, 'run')).mode & 0o777).to.equal(0o700);
  });

  it('the admin socket refuses a folder that others may write', async () => {
    mkdirSync(join(folder, 'run'));
    chmodSync(join(folder, 'run'), 0o777);
    expect((await failureOf(start())).message).to.match(/may be written by others, expected mode 0700$/);
  });

  it('the admin socket of a living agent is not taken over', async () => {
    await start();
    expect((await failureOf(start())).message).to.equal(`admin socket: another agent is running on ${path}`);
    expect(await askAgent(path, 'echo')).to.deep.equal({});
  });

  it('the admin socket replaces what a killed agent left behind', async () => {
    mkdirSync(join(folder, 'run'), { mode: 0o700 });
    await leaveStaleSocket(path);
    expect(statSync(path).isSocket()).to.equal(true);
    const unreachable = await failureOf(askAgent(path, 'status'));
    expect(unreachable).to.be.instanceOf(AgentUnreachableError);
    expect(unreachable.message).to.equal(`${path}: no agent is listening`);
    await start();
    expect(await askAgent(path, 'echo')).to.deep.equal({});
  });

  it('the admin socket never removes a file that is not a socket', async () => {
    mkdirSync(join(folder, 'run'), { mode: 0o700 });
    writeFileSync(path, 'precious');
    expect((await failureOf(start())).message).to.match(/exists and is not a socket$/);
    expect(statSync(path).size).to.equal(8);
  });

  it('the admin socket is gone after close, and close twice is harmless', async () => {
    const server = await start();
    await server.close();
    await server.close();
    const failure = await failureOf(askAgent(path, 'status'));
    expect(failure).to.be.instanceOf(AgentUnreachableError);
    expect(failure.message).to.equal(`${path}: no such socket, is the agent running?`);
  });

  it('the admin socket names the commands it knows when asked for another, prototype names included', async () => {
    await start();
    for (const command of ['nonsense', '__proto__', 'constructor', 'toString']) {
      const failure = await failureOf(askAgent(path, command));
      expect(failure).to.be.instanceOf(AdminCommandError);
      expect(failure.message).to.equal('unknown command, expected one of status, echo, fail');
    }
  });

  it('the admin socket passes the reason of a failed command on, and goes on', async () => {
    await start();
    expect((await failureOf(askAgent(path, 'fail'))).message).to.equal('not now');
    expect(await askAgent(path, 'echo')).to.deep.equal({});
  });

  it('the admin socket answers requests in order, whole or byte by byte', async () => {
    await start({ slow: () => new Promise((resolve) => setImmediate(resolve, 'slow')) });
    const text = '{"command":"slow"}\n{"command":"echo","args":{"n":1}}\n';
    const want = ['{"ok":true,"answer":"slow"}', '{"ok":true,"answer":{"n":1}}'];
    expect(await talk(2, text)).to.deep.equal(want);
    expect(await talk(2, ...text.split(''))).to.deep.equal(want);
  });

  for (const line of ['', 'status', '[]', 'null', '{"command":1}', '{"command":"echo","args":[]}', '{"a":']) {
    it(`the admin socket refuses the request ${JSON.stringify(line)}`, async () => {
      await start();
      expect(await talk(1, `${line}\n`)).to.deep.equal([
        '{"ok":false,"error":"not a request, expected {\\"command\\": ..., \\"args\\": {...}}"}',
      ]);
    });
  }

  it('the admin socket refuses a request over its cap and closes', async () => {
    await start();
    const [line, ...rest] = await talk(9, Buffer.alloc(MAX_REQUEST_BYTES + 1, 'x'));
    expect(line).to.equal('{"ok":false,"error":"request too large, expected at most 65536 bytes"}');
    expect(rest).to.deep.equal([]);
    expect(await askAgent(path, 'echo')).to.deep.equal({});
  });

  it('the admin socket tells one client too many that it is busy', async () => {
    await start();
    for (let i = 0; i < MAX_CLIENTS; i++) await talk(1, '{"command":"echo"}\n');
    expect((await failureOf(askAgent(path, 'echo'))).message).to.equal('busy: 16 clients already');
    sockets.splice(0, 1)[0]?.destroy();
    // The place is free when the server has seen the close.
    for (;;) {
      const [line] = await talk(1, '{"command":"echo"}\n');
      if (line === '{"ok":true,"answer":{}}') break;
      sockets.pop()?.destroy();
    }
  });

  it('the admin client gives up on an agent that does not answer', async () => {
    await start({ hang: () => new Promise(() => {}) });
    const failure = await failureOf(askAgent(path, 'hang', { timeoutMs: 20 }));
    expect(failure.message).to.equal(`${path}: the agent does not answer`);
  });

  it('the admin client refuses what is no answer of an agent', async () => {
    mkdirSync(join(folder, 'run'));
    const stranger = createServer((socket) => socket.end('220 mail.example.net ESMTP\n'));
    await new Promise<void>((resolve) => stranger.listen(path, resolve));
    try {
      const failure = await failureOf(askAgent(path, 'status'));
      expect(failure.message).to.equal(`${path}: not the answer of a dvipa agent`);
    } finally {
      stranger.close();
    }
  });
});

/** What `kill -9` leaves: the file of a socket on which nobody listens. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { spawnSync } = await import('node:child_process');
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script, path]);
}
