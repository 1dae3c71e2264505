import { fstatSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';
import type { LogFields } from '../../src/observe/fields.ts';
import { type ClosableLog, createLog, isJournalStream, type LogOptions } from '../../src/observe/log.ts';

const KEY = '000102030405060708090a0b0c0d0e0f';

/** Runs `use` on a log and returns the lines it wrote. */
async function linesOf(options: Partial<LogOptions>, use: (log: ClosableLog) => void): Promise<string[]> {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString();
      done();
    },
  });
  const log = createLog({ level: 'info', format: 'text', stream, ...options });
  use(log);
  await log.close();
  return text.split('\n').slice(0, -1);
}

describe('log', () => {
  it('a log line is a time, a level, a fixed text and named fields', async () => {
    const [line] = await linesOf({}, (log) =>
      log.info('SA installed', { spi: 'c0ffee01', bytes: 5, hard: false }),
    );
    expect(line).to.match(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info {2}SA installed spi=c0ffee01 bytes=5 hard=false$/,
    );
  });

  it('a log line in JSON has its fields beside the text, big numbers as text', async () => {
    const [line] = await linesOf({ format: 'json' }, (log) =>
      log.warn('late', { incarnation: 2n ** 63n, host: 'a b' }),
    );
    const { time, ...rest } = JSON.parse(line ?? '') as Record<string, unknown>;
    expect(time).to.match(/Z$/);
    expect(rest).to.deep.equal({
      level: 'warn',
      message: 'late',
      incarnation: '9223372036854775808',
      host: 'a b',
    });
  });

  it('a log under the journal has a priority and no time of its own', async () => {
    const lines = await linesOf({ isJournal: true, level: 'debug' }, (log) => {
      log.error('a');
      log.warn('b');
      log.info('c');
      log.debug('d', { reason: 'two words' });
    });
    expect(lines).to.deep.equal(['<3>a', '<4>b', '<6>c', '<7>d reason="two words"']);
  });

  it('a log leaves out what is below its level', async () => {
    const lines = await linesOf({ isJournal: true, level: 'warn' }, (log) => {
      log.info('quiet');
      log.warn('loud');
    });
    expect(lines).to.deep.equal(['<4>loud']);
  });

  it('a log takes another level and form from the next line on, and its children with it', async () => {
    const lines = await linesOf({}, (log) => {
      const child = log.child({ host: 'router1' });
      child.debug('left out');
      child.info('as text');
      log.configure({ level: 'debug', format: 'json' });
      child.debug('as JSON');
      log.configure({ level: 'warn', format: 'text' });
      child.info('left out too');
    });
    expect(lines.map((line) => line.replace(/^[^{]*?Z|"time":".*?Z",/, ''))).to.deep.equal([
      ' info  as text host=router1',
      '{"level":"debug","message":"as JSON","host":"router1"}',
    ]);
  });

  it('a log takes another file, and the one before has all that was written until then', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dvipa-log-'));
    const [before, after] = [join(folder, 'before.log'), join(folder, 'after.log')];
    try {
      await linesOf({ file: before }, (log) => {
        log.info('one');
        log.configure({ level: 'info', format: 'text', file: after });
        log.info('two');
      });
      const messages = (file: string) => readFileSync(file, 'utf8').match(/one|two/g);
      expect([messages(before), messages(after)]).to.deep.equal([['one'], ['two']]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('a child log has its own fields in every line, and a call may replace one', async () => {
    const lines = await linesOf({ isJournal: true }, (log) => {
      const child = log.child({ host: 'router1' }).child({ part: 'coupling', target: 'a' });
      child.info('x');
      child.info('y', { target: 'b' });
    });
    expect(lines).to.deep.equal([
      '<6>x host=router1 part=coupling target=a',
      '<6>y host=router1 part=coupling target=b',
    ]);
  });

  it('a log line carries no field that is not on the list, and of a listed one no bytes or objects', async () => {
    const bytes = Buffer.from(KEY, 'hex');
    const material = KeyMaterial.copyOf(bytes);
    const fields = {
      key: KEY,
      password: KEY,
      sa: { encryption: { key: KEY } },
      spi: material,
      peer: bytes,
      policy: [KEY],
      state: Symbol(KEY),
      way: () => KEY,
      reason: 'kept',
    };
    for (const format of ['text', 'json'] as const) {
      const [line = ''] = await linesOf({ format }, (log) => log.info('SA', fields as unknown as LogFields));
      expect(line).to.contain('kept').and.contain('redacted');
      expect(line).not.to.contain(KEY);
      expect(line).not.to.contain(inspect(bytes)).and.not.contain(bytes.toString('base64'));
      expect(line).not.to.match(/password|0, ?1, ?2|00 01 02/);
    }
  });

  it('an error is logged by its message and its cause, without a stack', async () => {
    const error = new Error('cannot connect', { cause: new Error('ENOENT') });
    const lines = await linesOf({ isJournal: true }, (log) => log.error('coupling', { error }));
    expect(lines).to.deep.equal(['<3>coupling error="cannot connect: ENOENT"']);
  });

  it('a log line stays one line whatever a peer is called', async () => {
    const lines = await linesOf({ isJournal: true }, (log) =>
      log.info('peer', { peer: 'a\n<0>forged\u001B[31m\u2028' }),
    );
    expect(lines).to.deep.equal(['<6>peer peer=a\\u000a<0>forged\\u001b[31m\\u2028']);
    const [long = ''] = await linesOf({ isJournal: true }, (log) =>
      log.info('peer', { peer: 'x'.repeat(10_000) }),
    );
    expect(long).to.have.lengthOf.below(400);
  });

  it('a log file is for its owner and group, and is complete after close', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dvipa-log-'));
    try {
      const file = join(folder, 'route.log');
      await linesOf({ file }, (log) => {
        for (let i = 0; i < 100; i++) log.info('line', { count: i });
      });
      const lines = readFileSync(file, 'utf8').split('\n');
      expect(lines).to.have.lengthOf(101);
      expect(lines[99]).to.match(/ info {2}line count=99$/);
      expect(statSync(file).mode & 0o137).to.equal(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('the journal is recognised by device and inode of the stream, not by the variable alone', () => {
    const descriptor = openSync('/dev/null', 'r');
    const { dev, ino } = fstatSync(descriptor);
    expect(isJournalStream({ JOURNAL_STREAM: `${dev}:${ino}` }, descriptor)).to.equal(true);
    expect(isJournalStream({ JOURNAL_STREAM: `${dev}:${ino + 1}` }, descriptor)).to.equal(false);
    expect(isJournalStream({ JOURNAL_STREAM: 'nonsense' }, 9999)).to.equal(false);
    expect(isJournalStream({}, descriptor)).to.equal(false);
  });
});
