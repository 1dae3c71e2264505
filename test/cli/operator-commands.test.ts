import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type AdminServer, startAdminServer } from '../../src/io/admin-server.ts';
import { EventLog } from '../../src/observe/event-log.ts';
import { COUNTS, DRAIN, MAINTENANCE, REKEY, TOP } from '../observe/operator-samples.ts';
import { CONNECTIONS, STATUS } from '../observe/samples.ts';
import { dvipa, type CliResult } from './run-cli.ts';

describe('dvipa commands that act or look closer', function () {
  this.timeout(30_000);
  let folder = '';
  let socket = '';
  let server: AdminServer;
  const asked: { command: string; args: unknown }[] = [];
  const events = new EventLog({ instance: '00112233445566ff', wallClock: () => 0 });
  const answers: Record<string, unknown> = {};
  const health = { state: 'ok', warnings: [] };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-cli-'));
    socket = join(folder, 'route.sock');
    const names = ['status', 'connections', 'connection-counts', 'connection-top'];
    const acting = ['drain', 'undrain', 'maintenance', 'rekey'];
    const handlers = [...names, ...acting].map((command) => [
      command,
      (args: unknown) => {
        asked.push({ command, args });
        const answer = answers[command];
        if (answer instanceof Error) throw answer;
        return answer;
      },
    ]);
    server = await startAdminServer(socket, {
      ...Object.fromEntries(handlers),
      events: ({ since = 0, follow = false }) =>
        events.read({ since: Number(since), follows: follow === true }),
    });
    events.record('sa-added', 'info', 'SA added', { sa: '1' });
    events.record('target-down', 'warn', 'target lost', { target: 'target1' });
  });

  beforeEach(() => {
    asked.length = 0;
    Object.assign(answers, {
      status: { ...STATUS, health },
      connections: CONNECTIONS,
      'connection-counts': COUNTS,
      'connection-top': TOP,
      drain: { ...DRAIN, isStored: true, unserved: [] },
      undrain: { ...DRAIN, isStored: true, unserved: [], draining: [] },
      maintenance: MAINTENANCE,
      rekey: { asked: REKEY.asked.slice(0, 1) },
    });
  });

  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (...args: string[]): Promise<CliResult> => dvipa(...args, '--socket', socket);

  it('dvipa connections hands its filters to the agent, and says when there are more than it shows', async () => {
    const filters =
      '--dvipa 203.0.113.10 --target target2 --source 10.0.0.0/8 --port 80 --protocol 17 --state closing';
    await run('connections', ...filters.split(' '), '--limit', '5');
    const wanted = {
      dvipa: '203.0.113.10',
      target: 'target2',
      source: '10.0.0.0/8',
      port: 80,
      protocol: 17,
      state: 'closing',
    };
    expect(asked).to.deep.equal([{ command: 'connections', args: { ...wanted, limit: 6 } }]);
    answers['connections'] = [...CONNECTIONS, ...CONNECTIONS];
    const { stdout, stderr, code } = await run('connections', '--limit', '1', '--json');
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.equal(CONNECTIONS);
    expect(stderr).to.equal('dvipa: there are more than 1 (--limit, or filters, or --count)\n');
  });

  it('dvipa connections counts and ranks', async () => {
    const counts = await run('connections', '--count', '--protocol', 'tcp', '--json');
    expect(JSON.parse(counts.stdout)).to.deep.equal(COUNTS);
    const top = await run('connections', '--top', '3', '--json');
    expect(JSON.parse(top.stdout)).to.deep.equal(TOP);
    expect(asked).to.deep.equal([
      { command: 'connection-counts', args: { protocol: 'tcp' } },
      { command: 'connection-top', args: { top: 3 } },
    ]);
  });

  it('dvipa status --check exits with 1 unless health is ok', async () => {
    expect(await run('status', '--check')).to.include({ code: 0, stdout: 'ok\n' });
    answers['status'] = STATUS;
    expect(await run('status', '--check')).to.include({
      code: 1,
      stdout: 'degraded: target3 is down; target2 is in maintenance\n',
    });
    const json = await run('status', '--check', '--json');
    expect([json.code, JSON.parse(json.stdout)]).to.deep.equal([1, STATUS.health]);
  });

  it('dvipa drain --wait returns when only closing connections are left, and exits with 4 if the time is over', async () => {
    const closing = { target: 'target1', tentative: 0, opening: 0, confirmed: 0, closing: 7 };
    answers['connection-counts'] = { total: 7, targets: [closing] };
    const done = await run('drain', 'target1', '--dvipa', '203.0.113.10', '--wait');
    expect(done).to.include({ code: 0, stderr: '' });
    const args = { target: 'target1', dvipa: '203.0.113.10' };
    expect(asked).to.deep.equal([
      { command: 'drain', args },
      { command: 'connection-counts', args },
    ]);
    answers['connection-counts'] = { total: 9, targets: [{ ...closing, tentative: 1, opening: 2 }] };
    const late = await run('drain', 'target1', '--wait', '0');
    expect(late).to.include({ code: 4, stderr: 'dvipa: 3 connections are left\n' });
  });

  it('dvipa drain says what an operator would want to know', async () => {
    answers['drain'] = DRAIN;
    const { code, stderr } = await run('drain', 'target1');
    expect(code).to.equal(0);
    expect(stderr).to.equal(
      'dvipa: it could not be stored: a restart of the agent ends it\ndvipa: no target takes new connections of 203.0.113.10 now\n',
    );
    answers['undrain'] = new Error('no target is named "x"');
    expect(await run('undrain', 'x')).to.include({ code: 1, stderr: 'dvipa: no target is named "x"\n' });
  });

  it('dvipa maintenance on --wait goes by what the target says', async () => {
    answers['maintenance'] = { ...MAINTENANCE, connections: 0 };
    expect(await run('maintenance', 'on', '--wait')).to.include({ code: 0 });
    expect(asked.map(({ args }) => args)).to.deep.equal([{ action: 'on' }, { action: 'status' }]);
    answers['maintenance'] = MAINTENANCE;
    expect(await run('maintenance', 'on', '--wait', '0')).to.include({ code: 4 });
    expect(await run('maintenance', 'status', '--wait', '0'), 'nothing to wait for').to.include({ code: 0 });
  });

  it('dvipa rekey exits with 1 if charon could not be asked for one', async () => {
    expect(await run('rekey', '--ike', 'dvipa', '--child', 'web')).to.include({ code: 0 });
    expect(asked).to.deep.equal([{ command: 'rekey', args: { ike: 'dvipa', child: 'web' } }]);
    answers['rekey'] = REKEY;
    expect(await run('rekey', '--all')).to.include({
      code: 1,
      stderr: 'dvipa: not all of them could be asked for (dvipa events)\n',
    });
  });

  it('dvipa events prints lines, or a JSON value on each, and ends without --follow', async () => {
    const { stdout, code } = await run('events');
    expect(code).to.equal(0);
    expect(stdout.split('\n').map((line) => line.slice(25))).to.deep.equal([
      '     1 sa-added           SA added sa=1',
      '     2 target-down        target lost target=target1',
      '',
    ]);
    const json = await run('events', '--json', '--since', '1');
    expect(
      json.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).to.deep.equal([events.at(2)]);
  });

  it('dvipa events --follow goes on until the agent goes, exit 3', async () => {
    const path = join(folder, 'other.sock');
    const other = await startAdminServer(path, { events: () => events.read({ since: 0, follows: true }) });
    const running = dvipa('events', '--follow', '--json', '--socket', path);
    setTimeout(() => void other.close(), 3000);
    const { code, stdout, stderr } = await running;
    expect(code).to.equal(3);
    expect(stdout.trimEnd().split('\n')).to.have.lengthOf(2);
    expect(stderr).to.equal(`dvipa: ${path}: the agent closed the connection\n`);
  });

  for (const args of [
    ['rekey'],
    ['rekey', '--sa', 'xyz'],
    ['rekey', '--sa', 'c0ffee01', '--all'],
    ['drain'],
    ['drain', 'target1', '--wait', 'long'],
    ['maintenance'],
    ['maintenance', 'maybe'],
    ['connections', '--port', '65536'],
    ['connections', '--protocol', '256'],
    ['connections', '--state', 'open'],
    ['connections', '--count', '--top', '3'],
    ['connections', '--limit', '0'],
    ['events', '--since', '-1'],
    ['events', '--since', '1', '--last', '1'],
  ]) {
    it(`dvipa ${args.join(' ')} is a wrong command line, exit 2`, async () => {
      expect(await run(...args)).to.include({ code: 2, stdout: '' });
      expect(asked).to.deep.equal([]);
    });
  }
});
