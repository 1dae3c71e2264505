import { expect } from 'chai';
import { SettledFlows } from '../../src/connections/settled-flows.ts';
import { flow, SEED } from './distributor-bench.ts';

const settledFlows = (maxFlows = 16) => new SettledFlows({ seed: SEED, maxFlows, lifeMs: 1000 });

describe('settled flows', () => {
  it('are settled for a time after they were heard or granted last', () => {
    const settled = settledFlows();
    settled.heard(flow(1), 0);
    settled.granted(flow(2), 0);
    settled.heard(flow(1), 400);
    expect([1, 2, 3].map((port) => settled.remainingMs(flow(port), 500))).deep.equal([900, 500, 0]);
    expect(settled.remainingMs(flow(2), 1000)).equal(0);
    for (let i = 0; i < 64; i++) settled.sweep(1000);
    expect(settled.size).equal(1);
  });

  it('what was granted is forgotten when asked, what was heard is not', () => {
    const settled = settledFlows();
    for (let port = 0; port < 8; port++) settled.heard(flow(port), 0);
    for (let port = 4; port < 12; port++) settled.granted(flow(port), 0);
    settled.forgetGranted();
    const left = Array.from({ length: 12 }, (_, port) => port).filter(
      (port) => settled.remainingMs(flow(port), 1) > 0,
    );
    expect(left).deep.equal([0, 1, 2, 3]);
    settled.forget(flow(0));
    settled.forget(flow(99));
    expect([settled.remainingMs(flow(0), 1), settled.size]).deep.equal([0, 3]);
  });

  it('are bounded: one more is not settled, and those that are stay so', () => {
    const settled = settledFlows(16);
    for (let port = 0; port < 20; port++) settled.heard(flow(port), 0);
    expect(settled.size).equal(16);
    expect([0, 15, 16, 19].map((port) => settled.remainingMs(flow(port), 0) > 0)).deep.equal([
      true,
      true,
      false,
      false,
    ]);
  });
});
