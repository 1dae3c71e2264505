import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { waitFor } from '../../src/lab/wait-for.ts';
import { resultOf, saysOnStderr, spawnScript } from './run-cli.ts';

const FAKE_AGENT = fileURLToPath(new URL('fake-agent.ts', import.meta.url));

describe('agent process under systemd', function () {
  this.timeout(30_000);
  let folder = '';
  let said = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dvipa-notify-'));
    said = join(folder, 'said');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs an agent that finds a `systemd-notify` of ours. */
  const start = (behaviour: string, socket: string, script = `echo "$@" >>'${said}'`) => {
    writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const PATH = `${folder}:${process.env['PATH']}`;
    return spawnScript(FAKE_AGENT, [behaviour], { PATH, NOTIFY_SOCKET: socket });
  };

  it('an agent process tells systemd that it is ready when its agent has started', async () => {
    const child = start('good', '/run/systemd/notify');
    const result = resultOf(child);
    await waitFor('notification', () => existsSync(said) && readFileSync(said, 'utf8') === '--ready\n');
    child.kill('SIGTERM');
    expect(await result).to.include({ code: 0 });
  });

  it('an agent process whose agent cannot start never says that it is ready', async () => {
    const { code } = await resultOf(start('fails-to-start', '/run/systemd/notify'));
    expect(code).to.equal(1);
    expect(existsSync(said)).to.equal(false);
  });

  it('an agent process that nobody waits for tells nobody', async () => {
    const child = start('good', '');
    const result = resultOf(child);
    await saysOnStderr(child, 'started');
    child.kill('SIGTERM');
    expect((await result).code).to.equal(0);
    expect(existsSync(said)).to.equal(false);
  });

  it('an agent process goes on, with a warning, when systemd does not listen', async () => {
    const child = start('good', '/run/systemd/notify', 'echo no such socket >&2; exit 1');
    const result = resultOf(child);
    await saysOnStderr(child, 'systemd was not told');
    child.kill('SIGTERM');
    expect((await result).code).to.equal(0);
  });
});
