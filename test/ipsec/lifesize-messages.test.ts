import { expect } from 'chai';
import { LifesizeMeter, type LifesizeReport } from '../../src/ipsec/lifesize-meter.ts';
import { StoredLifesize } from '../support/stored-lifesize.ts';

const DELAY_MS = 2;
const LOOK_MS = 100;

interface Load {
  readonly targets: number;
  readonly packetsPerMs: number;
  readonly packetBytes: number;
  readonly percentage: number;
  readonly bytes: { readonly soft: number; readonly hard: number };
  readonly packets: { readonly soft: number; readonly hard: number };
}

interface Target {
  readonly meter: LifesizeMeter;
  /** Reports, and how many of them were not the once-a-second one. */
  reports: number;
  asked: number;
  lastAt: number;
}

/** One SA from its first packet until it needs a rekey, at full load of all targets; messages of the busiest one. */
function runUntilRekey(load: Load): { packets: number; reports: number; asked: number } {
  const { bytes, packets, percentage, packetBytes } = load;
  const owner = new StoredLifesize({
    lifetime: { bytes, packets },
    percentage,
    now: 0,
    users: load.targets + 1,
  });
  const targets = new Map<string, Target>();
  const onWay: { at: number; run: () => void }[] = [];
  for (let i = 0; i < load.targets; i++) {
    owner.targetReady(`t${i}`, 1n, 0);
    const limits = { hardBytes: bytes.hard, hardPackets: packets.hard };
    const meter = new LifesizeMeter(owner.creditOf(`t${i}`), limits);
    targets.set(`t${i}`, { meter, reports: 0, asked: 0, lastAt: 0 });
  }
  owner.takeActions();
  const seen = { rekeys: 0 };
  const act = (now: number) => {
    for (const action of owner.takeActions()) {
      if (action.kind === 'rekey') seen.rekeys++;
      if (action.kind !== 'credit') continue;
      onWay.push({ at: now + DELAY_MS, run: () => targets.get(action.target)?.meter.granted(action) });
    }
  };
  const send = (name: string, target: Target, report: LifesizeReport, now: number) => {
    target.reports++;
    if (now - target.lastAt < 1000) target.asked++;
    target.lastAt = now;
    onWay.push({
      at: now + DELAY_MS,
      run: () => {
        owner.reported(name, report, now + DELAY_MS);
        act(now + DELAY_MS);
      },
    });
  };
  let now = 0;
  for (; seen.rekeys === 0; now++) {
    while ((onWay[0]?.at ?? Number.POSITIVE_INFINITY) <= now) onWay.shift()?.run();
    for (const [name, target] of targets) {
      target.meter.count(load.packetsPerMs, load.packetsPerMs * packetBytes);
      if (target.meter.isDue) send(name, target, target.meter.current(now), now);
      const report = now % LOOK_MS === 0 ? target.meter.report(now) : undefined;
      if (report !== undefined) send(name, target, report, now);
    }
  }
  for (const { meter } of targets.values()) expect(meter.refused, 'packets that found no credit').to.equal(0);
  const busiest = [...targets.values()].toSorted((a, b) => b.asked - a.asked)[0] as Target;
  return { packets: busiest.meter.packets, reports: busiest.reports, asked: busiest.asked };
}

describe('lifesize messages at full load', () => {
  const GB = 1e9;
  const NONE = { soft: 0, hard: 0 };
  const loads: [string, Load][] = [
    [
      '100 000 packets/s on each of 3 targets, 10 of 12 GB',
      {
        targets: 3,
        packetsPerMs: 100,
        packetBytes: 1400,
        percentage: 10,
        bytes: { soft: 10 * GB, hard: 12 * GB },
        packets: NONE,
      },
    ],
    [
      'the same at the least percentage',
      {
        targets: 3,
        packetsPerMs: 100,
        packetBytes: 1400,
        percentage: 1,
        bytes: { soft: 10 * GB, hard: 12 * GB },
        packets: NONE,
      },
    ],
    [
      '50 000 packets/s on each of 8 targets, 10 of 11 GB as charon has it',
      {
        targets: 8,
        packetsPerMs: 50,
        packetBytes: 1400,
        percentage: 1,
        bytes: { soft: 10 * GB, hard: 11 * GB },
        packets: NONE,
      },
    ],
    [
      'a soft limit alone, 1 GB',
      {
        targets: 3,
        packetsPerMs: 50,
        packetBytes: 1400,
        percentage: 1,
        bytes: { soft: GB, hard: 0 },
        packets: NONE,
      },
    ],
    [
      'packets, 5 of 6 million',
      {
        targets: 3,
        packetsPerMs: 50,
        packetBytes: 100,
        percentage: 1,
        bytes: NONE,
        packets: { soft: 5e6, hard: 6e6 },
      },
    ],
  ];
  for (const [what, load] of loads) {
    it(`are one in 10 000 packets for an SA and target at most, beside the once-a-second one: ${what}`, () => {
      const { packets, reports, asked } = runUntilRekey(load);
      const each = asked === 0 ? 'none' : `one in ${Math.round(packets / asked)}`;
      console.log(
        `      ${packets} packets of one target, ${reports} reports, ${each} beside the once-a-second one`,
      );
      expect(packets).to.be.above(100_000);
      expect(asked).to.be.at.most(packets / 10_000);
    });
  }
});
