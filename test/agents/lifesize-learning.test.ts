import { expect } from 'chai';
import { LifesizeLearning } from '../../src/agents/routing/lifesize-learning.ts';
import { Rekeyer, type SaNames } from '../../src/agents/routing/rekeyer.ts';
import { type AnySa, type OutboundSa, RoutingSas } from '../../src/agents/routing/routing-sas.ts';
import type { DvipaService } from '../../src/agents/routing/dvipa-service.ts';
import type { LogFields } from '../../src/observe/fields.ts';
import type { Log } from '../../src/observe/log.ts';
import type { Requester } from '../../src/vici/index.ts';
import type { LifesizeMarks } from '../../src/ipsec/lifesize-marks.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { testSa } from '../support/test-sas.ts';
import { CRYPTOS } from '../support/packet-cryptos.ts';

const LIMITS = { soft: 0, hard: 0 };
const NONE = { bytes: 0, packets: 0 };
const NO_MARKS: Omit<LifesizeMarks, 'percentage' | 'rekeyMs'> = {
  closedCharged: NONE,
  closedReported: NONE,
  accounts: [],
};
const service = { targets: new Set(['target1', 'target2']) } as unknown as DvipaService;

function make() {
  const lines: { message: string; fields: LogFields | undefined }[] = [];
  const tell = (message: string, fields?: LogFields) => void lines.push({ message, fields });
  const log: Log = { error: tell, warn: tell, info: tell, debug: tell, child: () => log };
  const clock = new ManualClock();
  const nobody: Requester = { request: () => Promise.reject(), requestStream: () => Promise.reject() };
  const names = new Map<AnySa, SaNames>();
  const rekeyer = new Rekeyer({ charon: nobody, plugin: nobody, log, clock });
  rekeyer.namesOf = (entry) => names.get(entry);
  const sas = new RoutingSas({ outside: 1500, cluster: 1500 }, true, CRYPTOS);
  const learning = new LifesizeLearning({
    log,
    sas,
    rekeyer,
    percentage: 10,
    seed: Buffer.alloc(8, 1),
  });
  const add = (
    spi: number,
    {
      bytes = LIMITS,
      seconds = LIMITS,
      createdAt = 0,
      group = 1,
      marks = undefined as LifesizeMarks | undefined,
    } = {},
  ): OutboundSa => {
    const sa = {
      ...testSa({ spi, direction: 'out' }),
      group,
      lifetime: { bytes, packets: LIMITS, seconds },
    };
    const lifesize = learning.termsOf(sa, service, marks);
    const numbering = { origin: 'new', epoch: 1, now: 0 } as const;
    const entry = sas.add({ sa, pluginId: sa.id, service, numbering, lifesize, createdAt, now: 0 });
    return entry as OutboundSa;
  };
  const name = (entry: AnySa, peer = 'client1') => names.set(entry, { ike: 'dvipa', child: 'web', peer });
  return { lines, rekeyer, learning, add, name };
}

describe('what is learned of lifesize', () => {
  it('rekeys of SAs that were old are for their time, and others of peer or operator', () => {
    const { lines, rekeyer, learning, add } = make();
    const seconds = { soft: 60, hard: 90 };
    learning.switched(add(0x2001, { seconds }), 60_000);
    learning.switched(add(0x2002, { seconds }), 59_000);
    learning.switched(add(0x2003), 1e9);
    expect(rekeyer.book.entries()).to.deep.equal([
      ['time', { needs: 1, finished: 1, repeated: 0, refused: 0 }],
      ['other', { needs: 2, finished: 2, repeated: 0, refused: 0 }],
    ]);
    expect(lines[0]?.fields).to.include({ event: 'rekey-finished', reason: 'time' });
  });

  it('a need is told with its reason and its time, and what was long before its limits teaches nothing', () => {
    const { lines, rekeyer, learning, add, name } = make();
    const bytes = { soft: 1000, hard: 2000 };
    const [timely, asked] = [add(0x2001, { bytes, group: 1 }), add(0x2002, { bytes, group: 2 })];
    name(timely);
    name(asked, 'client2');
    learning.switched(timely, 5000);
    expect(learning.assign(timely)?.credit.history).to.deep.equal([]);
    asked.rekeys.set('bytes', { at: 4800, isTaken: true, attempts: 1 });
    learning.switched(asked, 5000);
    expect(learning.assign(asked)?.credit).to.include({ percentage: 12.5 });
    expect(learning.assign(asked)?.credit.history[0]).to.include({ rekeyMs: 200, outcome: 'in-time' });
    expect(lines.at(-1)?.fields).to.include({ reason: 'bytes', durationMs: 200, percentage: 12.5 });
    expect(rekeyer.book.entries().map(([reason]) => reason)).to.deep.equal(['other', 'bytes']);
  });

  it('a restart goes on with what the store brought, though charon names an SA first that it made meanwhile', () => {
    const { learning, add, name } = make();
    const bytes = { soft: 1000, hard: 2000 };
    add(0x2001, { bytes, marks: { ...NO_MARKS, percentage: 19.5, rekeyMs: 700 } });
    const younger = add(0x2002, { bytes });
    name(younger);
    expect(learning.assign(younger)?.credit).to.include({ percentage: 19.5, rekeyMs: 700 });
    expect(younger.lifesize.percentage).to.equal(19.5);
  });

  it('a new SA has the percentage of its predecessor, before charon tells its name', () => {
    const { learning, add, name } = make();
    const bytes = { soft: 1000, hard: 2000 };
    const old = add(0x2001, { bytes });
    name(old);
    old.rekeys.set('bytes', { at: 0, isTaken: true, attempts: 1 });
    learning.switched(old, 700);
    const young = add(0x2002, { bytes });
    expect([young.lifesize.percentage, young.lifesize.rekeyMs]).to.deep.equal([12.5, 700]);
    expect(learning.assign(young)).to.equal(learning.configurationOf(old));
  });

  it('an SA that a hard limit ended is not judged again when its successor comes', () => {
    const { learning, add, name } = make();
    const entry = add(0x2001, { bytes: { soft: 1000, hard: 2000 } });
    name(entry);
    learning.expired(entry, 10);
    entry.rekeys.set('bytes', { at: 0, isTaken: true, attempts: 1 });
    learning.switched(entry, 20);
    expect(learning.configurationOf(entry)?.credit.history.map(({ outcome }) => outcome)).to.deep.equal([
      'hard-limit',
    ]);
  });

  it('SAs with equal limits ask at points of their own, always the same for one SA', () => {
    const { learning } = make();
    const jitter = (spi: number) => learning.termsOf(testSa({ spi }), service, undefined).jitter ?? -1;
    const all = Array.from({ length: 200 }, (_, i) => jitter(0x1001 + i));
    expect(all).to.deep.equal(Array.from({ length: 200 }, (_, i) => jitter(0x1001 + i)));
    for (let tenth = 0; tenth < 10; tenth++) {
      const inside = all.filter((value) => value >= tenth / 10 && value < (tenth + 1) / 10);
      expect(inside.length, `tenth ${tenth}`).to.be.within(5, 40);
    }
  });
});
