import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { resultOf, saysOnStderr, spawnScript } from './run-cli.ts';

const FAKE_AGENT = fileURLToPath(new URL('fake-agent.ts', import.meta.url));

describe('agent process', function () {
  this.timeout(30_000);

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`an agent process stops cleanly on ${signal}, exit 0`, async () => {
      const child = spawnScript(FAKE_AGENT, ['good']);
      const result = resultOf(child);
      await saysOnStderr(child, 'started');
      child.kill(signal);
      expect(await result).to.deep.equal({
        code: 0,
        signal: null,
        stdout: '',
        stderr: `<6>started\n<6>signal signal=${signal}\n<6>stopping\n<6>stopped\n`,
      });
    });
  }

  it('an agent process reloads on SIGHUP, as often as it comes, and goes on', async () => {
    const child = spawnScript(FAKE_AGENT, ['good']);
    const result = resultOf(child);
    await saysOnStderr(child, 'started');
    for (let i = 0; i < 2; i++) {
      child.kill('SIGHUP');
      await saysOnStderr(child, 'reloaded');
    }
    child.kill('SIGTERM');
    const { code, stderr } = await result;
    expect(code).to.equal(0);
    expect(stderr).to.contain('<6>signal signal=SIGHUP\n<6>reloaded\n');
  });

  it('an agent process that hangs in its stop ends at once on a second signal, exit 1', async () => {
    const child = spawnScript(FAKE_AGENT, ['hangs']);
    const result = resultOf(child);
    await saysOnStderr(child, 'started');
    child.kill('SIGTERM');
    await saysOnStderr(child, 'stopping');
    child.kill('SIGINT');
    expect(await result).to.include({ code: 1, signal: null });
  });

  it('an agent process ends even if its agent has left something open', async () => {
    const child = spawnScript(FAKE_AGENT, ['leaks']);
    const result = resultOf(child);
    await saysOnStderr(child, 'started');
    child.kill('SIGTERM');
    expect(await result).to.include({ code: 0, signal: null });
  });

  for (const [behaviour, error] of [
    ['fails-to-start', 'no TUN'],
    ['fails-later', 'charon is gone for good'],
    ['fails-later-and-hangs', 'charon is gone for good'],
    ['rejects', 'nobody caught this'],
    ['throws', 'thrown in a callback'],
  ] as const) {
    it(`an agent process whose agent ${behaviour} logs it and exits with 1`, async () => {
      const { code, stderr } = await resultOf(spawnScript(FAKE_AGENT, [behaviour]));
      expect(code).to.equal(1);
      expect(stderr).to.match(new RegExp(`<3>agent failed error="?${error}"?\n$`));
    });
  }
});
