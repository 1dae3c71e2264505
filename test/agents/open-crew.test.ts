import { expect } from 'chai';
import { crewSnapshot, openCrew, workersFor } from '../../src/agents/open-crew.ts';
import type { Crew } from '../../src/io/crew.ts';
import type { Log } from '../../src/observe/log.ts';

/** A crew of which the kernel has given `given` threads. */
function crewWith(given: number): (workers: number) => Crew {
  return (asked) => {
    const workers = Math.min(asked, given);
    const refusal = workers < asked ? 'EAGAIN' : undefined;
    return { stats: () => ({ workers, refusal, runs: 7, wakeUps: 3, stalls: 1 }) } as Crew;
  };
}

describe('the number of threads that work on packets', () => {
  it('is by itself one less than there are processors, at least 1 and at most 4, and else what was asked for', () => {
    expect([1, 2, 3, 5, 64].map((processors) => workersFor('auto', processors))).to.deep.equal([
      1, 1, 2, 4, 4,
    ]);
    expect(workersFor(2, 1)).to.equal(2);
    expect(workersFor(64, 4)).to.equal(64);
  });

  it('is told in one line of the log, a warning with the reason if the kernel gives fewer; the agent goes on with those', () => {
    const lines: unknown[] = [];
    const tell = (level: string) => (message: string, fields?: object) =>
      void lines.push({ level, message, fields });
    const log = { info: tell('info'), warn: tell('warn') } as unknown as Log;
    openCrew(3, log, { open: crewWith(64) });
    const crew = openCrew('auto', log, { processors: 4, open: crewWith(2) });
    expect(lines).to.deep.equal([
      { level: 'info', message: 'threads that work on packets', fields: { workers: 3 } },
      {
        level: 'warn',
        message: 'fewer threads work on packets: the kernel gives no more',
        fields: { workers: 2, asked: 3, reason: 'EAGAIN' },
      },
    ]);
    expect(crewSnapshot(crew)).to.deep.equal({ workers: 2, runs: 7, stalls: 1 });
  });
});
