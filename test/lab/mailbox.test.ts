import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { GuestHost } from '../../src/lab/uml/guest-host.ts';
import { waitFor } from '../../src/lab/wait-for.ts';

/** What guest-loop.sh does with its mailbox, without the network around it. */
const LOOP = `
cd "$1" && while :; do
  for c in *.cmd; do
    [ -e "$c" ] && [ ! -e "\${c%.cmd}.taken" ] || continue
    n=\${c%.cmd}; : >"$n.taken"
    (i=/dev/null; [ ! -e "$n.in" ] || i=$n.in; sh "$c" <$i >"$n.out" 2>"$n.err"; echo $? >"$n.rc") &
  done
  sleep 0.02
done`;

describe('mailbox of a guest', () => {
  let folder: string;
  let loop: ChildProcess;
  let host: GuestHost;
  let isAlive = true;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mailbox-'));
    mkdirSync(join(folder, 'commands'));
    loop = spawn('bash', ['-c', LOOP, 'loop', join(folder, 'commands')], { stdio: 'ignore' });
    isAlive = true;
    host = new GuestHost('kernel1', folder, { folder, isAlive: () => isAlive });
  });

  afterEach(async () => {
    const ended = new Promise((resolve) => {
      loop.once('exit', resolve);
    });
    loop.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true });
  });

  it('gives back status, output and errors of a command, whatever its words hold', async () => {
    const script = 'printf "%s|" "$@"; echo "$COLOUR" >&2; cat; exit 3';
    const words = ['it\'s "so"', '$HOME', 'a\nb', ''];
    const result = await host.exec(['sh', '-c', script, 'sh', ...words], {
      input: 'from us\n',
      env: { COLOUR: "red 'n' blue" },
    });
    expect(result).to.deep.equal({
      status: 3,
      signal: null,
      stdout: `${words.join('|')}|from us\n`,
      stderr: "red 'n' blue\n",
    });
  });

  it('names host and command when one fails that had to succeed', async () => {
    const failed = await host.must(['sh', '-c', 'echo no >&2; exit 9']).catch(String);
    expect(failed).to.contain('kernel1: sh -c').and.contain('status 9: no');
  });

  it('kills a command that takes too long', async () => {
    const { status, signal } = await host.exec(['sleep', '60'], { timeoutMs: 100 });
    expect([status, signal]).to.deep.equal([null, 'SIGKILL']);
  });

  it('runs commands side by side, and leaves no file of those that ended', async () => {
    const said = await Promise.all([1, 2, 3].map((n) => host.must(['echo', String(n)])));
    expect(said).to.deep.equal(['1\n', '2\n', '3\n']);
    const left = readdirSync(join(folder, 'commands')).filter((name) => !name.endsWith('.taken'));
    expect(left).to.deep.equal([]);
  });

  it('rejects when the guest ends meanwhile', async () => {
    const waiting = host.exec(['sleep', '60']).catch(String);
    isAlive = false;
    expect(await waiting).to.contain('the guest ended');
  });

  it('starts a process that writes to its log, and ends it', async () => {
    const running = host.spawn('worker', ['sh', '-c', 'echo hello; exec sleep 60']);
    await waitFor('the log', () => readFileSync(host.logFile('worker'), 'utf8') === 'hello\n');
    expect([running.isRunning(), running.pid > 0]).to.deep.equal([true, true]);
    await running.stop();
    expect(running.isRunning()).to.equal(false);
    expect(await running.kill('SIGTERM')).to.equal(false);
  });
});
