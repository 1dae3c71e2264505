import { expect } from 'chai';
import * as fc from 'fast-check';
import { EventLog, recordingLog } from '../../src/observe/event-log.ts';
import type { EventItem } from '../../src/observe/event-item.ts';
import type { Log } from '../../src/observe/log.ts';

const INSTANCE = '00112233445566ff';

function newLog(kept?: number): EventLog {
  return new EventLog({ instance: INSTANCE, wallClock: () => 0, ...(kept !== undefined && { kept }) });
}

function record(events: EventLog, count: number): void {
  for (let i = 0; i < count; i++) events.record('sa-added', 'info', 'SA added', { sa: `${i}` });
}

async function all(reader: AsyncIterable<EventItem>): Promise<EventItem[]> {
  const items: EventItem[] = [];
  for await (const item of reader) items.push(item);
  return items;
}

const numbers = (items: readonly EventItem[]) =>
  items.map((item) => ('lost' in item ? `lost ${item.lost}` : item.seq));

describe('event log', () => {
  it('numbers events from 1 in the life of the agent, with the instance in each', async () => {
    const events = newLog();
    events.record('target-down', 'warn', 'target lost', { target: 'target1', event: 'target-down' });
    expect(await all(events.read({ since: 0, follows: false }))).to.deep.equal([
      {
        instance: INSTANCE,
        seq: 1,
        time: '1970-01-01T00:00:00.000Z',
        event: 'target-down',
        level: 'warn',
        message: 'target lost',
        fields: { target: 'target1' },
      },
    ]);
  });

  it('keeps the newest ones only, and says how many a reader has missed', async () => {
    const events = newLog(4);
    record(events, 10);
    expect([events.oldest, events.newest]).to.deep.equal([7, 10]);
    expect(numbers(await all(events.read({ since: 0, follows: false })))).to.deep.equal([
      'lost 6',
      7,
      8,
      9,
      10,
    ]);
    expect(numbers(await all(events.read({ since: 8, follows: false })))).to.deep.equal([9, 10]);
    expect(events.at(6)).to.equal(undefined);
  });

  it('gives any reader, however slow, every number once: as an event or as one of those lost', async () => {
    const steps = fc.array(fc.tuple(fc.nat(12), fc.nat(12)), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 8 }), steps, async (kept, turns) => {
        const events = newLog(kept);
        const reader = events.read({ since: 0, follows: true });
        let seen = 0;
        for (const [recorded, read] of turns) {
          record(events, recorded);
          for (let i = 0; i < read && seen < events.newest; i++) {
            const { value } = await reader.next();
            const item = value as EventItem;
            if ('lost' in item) {
              expect(item.lost).to.be.greaterThan(0);
              seen += item.lost;
            } else expect(item.seq).to.equal(++seen);
          }
        }
      }),
    );
  });

  it('wakes a reader that follows, and lets go of one that has gone', async () => {
    const events = newLog();
    const reader = events.read({ since: 0, follows: true });
    const next = reader.next();
    record(events, 1);
    expect(numbers([(await next).value as EventItem])).to.deep.equal([1]);
    const waiting = reader.next();
    await reader.return();
    const soon = new Promise((resolve) => setImmediate(resolve, 'still waits'));
    expect(await Promise.race([waiting, soon])).to.deep.equal({ done: true, value: undefined });
    expect(await reader.next()).to.deep.equal({ done: true, value: undefined });
  });

  it('takes lines that have a name of an event, whatever the level of the log and of whichever child', async () => {
    const events = newLog();
    const lines: string[] = [];
    const write = (message: string) => void lines.push(message);
    const plain: Log = { error: write, warn: write, info: write, debug: () => {}, child: () => plain };
    const log = recordingLog(plain, events).child({ host: 'router1' });
    log.debug('the SA is sent another way', { event: 'way-changed', way: 'stamping' });
    log.info('no event', { sa: '1' });
    log.warn('target lost', { event: 'target-down', error: new Error('time is over') });
    expect(lines).to.deep.equal(['no event', 'target lost']);
    const items = await all(events.read({ since: 0, follows: false }));
    expect(items.map((item) => 'event' in item && [item.event, item.fields])).to.deep.equal([
      ['way-changed', { way: 'stamping' }],
      ['target-down', { error: 'time is over' }],
    ]);
  });

  it('has nothing in it that may not be in a log: no bytes, no objects, no control characters', async () => {
    const events = newLog();
    const fields = { ike: 'a\u001B[2Jb', peer: Buffer.from('secret') } as unknown as { ike: string };
    events.record('rekey-requested', 'info', 'rekey\nrequested', fields);
    expect(JSON.stringify(await all(events.read({ since: 0, follows: false })))).to.contain(
      '"message":"rekey\\\\u000arequested","fields":{"ike":"a\\\\u001b[2Jb","peer":"<redacted>"}',
    );
  });
});
