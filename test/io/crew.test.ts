import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Crew } from '../../src/io/crew.ts';
import { packetIo } from '../../src/io/native.ts';

/** Long enough for others to come, if there is a processor for them. */
const BUSY_NS = 20_000;

/** A run of `units`: how often each was done, and by whom. */
function run(crew: Crew, units: number, busyNs = 0): { counts: number[]; workers: number[] } {
  const [counts, workers] = [new Uint32Array(units), new Uint8Array(units)];
  packetIo().crewTry(crew.handle, counts, workers, busyNs);
  return { counts: [...counts], workers: [...workers] };
}

const once = (units: number) => Array.from({ length: units }, () => 1);

/** Until somebody else has done a unit: on a busy machine that may take a while. */
function runUntilShared(crew: Crew): void {
  const until = Date.now() + 10_000;
  while (Date.now() < until) {
    if (run(crew, 16, BUSY_NS).workers.some((worker) => worker > 0)) return;
  }
  throw new Error('no thread has done anything in 10 s');
}

describe('a crew of threads', () => {
  const crews: Crew[] = [];
  const crewOf = (workers: number) => {
    const crew = new Crew(workers);
    crews.push(crew);
    return crew;
  };

  after(() => {
    for (const crew of crews) crew.close();
  });

  for (const workers of [1, 2, 3, 8]) {
    it(`does each unit of many runs exactly once, with ${workers} workers and any number of units`, () => {
      const crew = crewOf(workers);
      expect(crew.stats().workers).to.equal(workers);
      for (let n = 0; n < 2000; n++) {
        const units = (n * 7) % 70;
        const done = run(crew, units, n % 100 === 0 ? 2000 : 0);
        expect(done.counts).to.deep.equal(once(units));
        expect(done.workers.every((worker) => worker < workers)).to.equal(true);
      }
    });
  }

  it('has threads that take part, and again after all have slept', async () => {
    const crew = crewOf(2);
    runUntilShared(crew);
    await sleep(20);
    const { wakeUps } = crew.stats();
    runUntilShared(crew);
    expect(crew.stats().wakeUps).to.be.above(wakeUps);
  });

  it('of one is the caller alone, and counts no runs', () => {
    const crew = crewOf(1);
    expect(run(crew, 5).workers).to.deep.equal([0, 0, 0, 0, 0]);
    expect(crew.stats()).to.deep.include({ workers: 1, refusal: undefined, runs: 0, wakeUps: 0, stalls: 0 });
  });

  it('ends when it is closed, idle or just used, twice without harm; its caller then works alone', async () => {
    for (const wait of [0, 20]) {
      const crew = crewOf(4);
      run(crew, 9);
      await sleep(wait);
      crew.close();
      crew.close();
      expect(crew.stats().workers).to.equal(1);
      expect(run(crew, 6)).to.deep.equal({ counts: once(6), workers: [0, 0, 0, 0, 0, 0] });
    }
  });

  it('refuses numbers of workers that make no sense, and things that are no crew', () => {
    for (const workers of [0, 65, -1, 1.5, Number.NaN]) {
      expect(() => new Crew(workers), String(workers)).to.throw(TypeError);
    }
    const io = packetIo();
    const { handle } = crewOf(1);
    expect(() => io.crewClose({} as typeof handle)).to.throw('not a crew');
    expect(() => io.crewStats(handle, new Float64Array(4))).to.throw('5 entries');
    expect(() => io.crewTry(handle, new Uint32Array(2), new Uint8Array(3), 0)).to.throw(
      'entry for each unit',
    );
  });
});
