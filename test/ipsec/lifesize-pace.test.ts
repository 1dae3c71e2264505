import { expect } from 'chai';
import { LifesizeMeter } from '../../src/ipsec/lifesize-meter.ts';
import { LifesizeOwner } from '../../src/ipsec/lifesize-owner.ts';

const HARD = 20e6;
const PACKET_BYTES = 1000;
/** One way between a target and the routing host, and what the store takes. */
const WAY_MS = 3;
const STORE_MS = 2;
const NO_LIMIT = { soft: 0, hard: 0 };

interface User {
  readonly name: string;
  readonly packetsPerMs: (now: number) => number;
  meter?: LifesizeMeter;
}

/** Targets that use one SA, and its owner, a millisecond at a time. Packets refused while the cluster had lifesize that nobody held. */
function refusedUntil(
  part: number,
  users: readonly User[],
): { refused: number; messages: number; ms: number } {
  const bytes = { soft: HARD * 0.8, hard: HARD };
  const owner = new LifesizeOwner({
    lifetime: { bytes, packets: NO_LIMIT },
    percentage: 10,
    now: 0,
    users: users.length,
  });
  const later = new Map<number, (() => void)[]>();
  let now = 0;
  let messages = 0;
  const after = (ms: number, run: () => void) => {
    const at = now + ms;
    later.set(at, [...(later.get(at) ?? []), run]);
  };
  const act = () => {
    for (const action of owner.takeActions()) {
      if (action.kind === 'store-marks') after(STORE_MS, () => (owner.storeDone(now), act()));
      if (action.kind !== 'credit') continue;
      const user = users.find(({ name }) => name === action.target) as User;
      messages++;
      after(WAY_MS, () => {
        if (user.meter === undefined)
          user.meter = new LifesizeMeter(action, { hardBytes: HARD, hardPackets: 0 });
        else user.meter.granted(action);
      });
    }
  };
  for (const { name } of users) owner.targetReady(name, 1n, now);
  act();
  for (; now < 20_000 && owner.charged.bytes < part * HARD; now++) {
    for (const run of later.get(now) ?? []) run();
    for (const { name, meter, packetsPerMs } of users) {
      for (let n = packetsPerMs(now); n > 0; n--) meter?.count(1, PACKET_BYTES);
      if (meter?.isDue !== true) continue;
      messages++;
      const report = meter.current(now);
      after(WAY_MS, () => {
        expect(owner.reported(name, report, now)).to.equal(true);
        act();
      });
    }
    expect(owner.charged.bytes + owner.bytes.open).to.be.at.most(HARD);
  }
  const refused = users.reduce((sum, { meter }) => sum + (meter?.refused ?? 0), 0);
  return { refused, messages, ms: now };
}

describe('lifesize credit', () => {
  it('follows the pace of a target that uses it up in a few round trips: nothing is refused below the soft limit', () => {
    // 16 Mbit/s, then twice as much each 20 ms, up to 640: a TCP connection at its start.
    const fast = { name: 'fast', packetsPerMs: (now: number) => Math.min(80, 2 * 2 ** Math.floor(now / 20)) };
    const idle = ['one', 'two'].map((name) => ({ name, packetsPerMs: () => 0 }));
    const { refused, ms } = refusedUntil(0.8, [fast, ...idle]);
    expect(refused).to.equal(0);
    expect(ms).to.be.below(600);
  });

  it('is shared by pace, and the slower of two targets is refused nothing either', () => {
    const fast = { name: 'fast', packetsPerMs: (now: number) => Math.min(60, 2 + now / 4) };
    const slow = { name: 'slow', packetsPerMs: () => 2 };
    expect(refusedUntil(0.8, [fast, slow]).refused).to.equal(0);
  });

  it('is asked for by no more messages than one in 500 packets where the limits are narrow', () => {
    const fast = { name: 'fast', packetsPerMs: () => 10 };
    const { messages } = refusedUntil(0.9, [fast, { name: 'idle', packetsPerMs: () => 0 }]);
    expect(messages).to.be.below((0.9 * HARD) / PACKET_BYTES / 500 + 10);
  });
});
