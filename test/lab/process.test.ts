import { spawn } from 'node:child_process';
import { expect } from 'chai';
import { waitFor } from '../../src/lab/wait-for.ts';
import { endProcess, isRunning, signalProcess, startTimeOf } from '../../src/lab/process.ts';

function startSleeper(command = 'sleep 60') {
  const child = spawn('sh', ['-c', `exec ${command}`], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  return { host: 'router1', name: 'sleeper', pid, startTime: startTimeOf(pid) ?? '' };
}

describe('lab process', () => {
  it('is recognised by process id and start time together', async () => {
    const record = startSleeper();
    expect(isRunning(record)).to.equal(true);
    expect(isRunning({ ...record, startTime: '1' })).to.equal(false);
    await endProcess(record);
    expect(isRunning(record)).to.equal(false);
  });

  it('is not signalled when its number has gone to another process', () => {
    const other = { host: 'router1', name: 'charon', pid: process.pid, startTime: '1' };
    expect(signalProcess(other, 'SIGKILL')).to.equal(false);
  });

  it('is ended by force when it does not listen to SIGTERM', async () => {
    const record = startSleeper(
      `${process.execPath} -e "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"`,
    );
    await endProcess(record, 200);
    expect(isRunning(record)).to.equal(false);
  });

  it('that is gone already is ended without complaint', async () => {
    await endProcess({ host: 'router1', name: 'nothing', pid: 2 ** 22 + 1, startTime: '1' });
  });

  it('that leads a group is ended with its members, also when it is gone before them', async () => {
    // A leader of the name `sleep`, with one member that outlives it.
    const script = 'sleep 60 & echo $!; exec sleep 60';
    const child = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    const text = await new Promise<Buffer>((resolve) => {
      child.stdout.once('data', resolve);
    });
    const [pid, member] = [child.pid ?? 0, Number(text.toString())];
    const record = {
      host: 'kernel1',
      name: 'kernel',
      pid,
      startTime: startTimeOf(pid) ?? '',
      group: 'sleep',
    };
    process.kill(pid, 'SIGKILL');
    await waitFor('end of the leader', () => !isRunning(record));
    expect(startTimeOf(member)).to.not.equal(undefined);
    await endProcess({ ...record, group: 'other' });
    expect(startTimeOf(member)).to.not.equal(undefined);
    await endProcess(record);
    expect(startTimeOf(member)).to.equal(undefined);
  });

  it('that is a zombie counts as gone', () => {
    expect(startTimeOf(2 ** 22 + 1)).to.equal(undefined);
    expect(startTimeOf(process.pid)).to.match(/^\d+$/);
  });
});
