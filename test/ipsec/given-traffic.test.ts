import { expect } from 'chai';
import { GivenTraffic } from '../../src/ipsec/given-traffic.ts';

const report = (packets: number, bytes: number) => ({ packets, bytes, idleMs: 7 });

function covers(given: GivenTraffic, target: number, told: ReturnType<typeof report>): boolean {
  const { packets, bytes, idleMs } = given.cap(target, told);
  expect(idleMs).equal(7);
  expect(packets).at.most(told.packets);
  expect(bytes).at.most(told.bytes);
  return packets === told.packets && bytes === told.bytes;
}

describe('what a target was given of an SA', () => {
  it('covers reports up to that, of that target', () => {
    const given = new GivenTraffic(false);
    given.add(0, 100);
    given.add(0, 50);
    expect(covers(given, 0, report(2, 150))).equal(true);
    expect(covers(given, 0, report(3, 150))).equal(false);
    expect(covers(given, 0, report(2, 151))).equal(false);
    expect(given.cap(0, report(9, 999))).deep.equal(report(2, 150));
    expect(covers(given, 1, report(1, 1))).equal(false);
    expect(covers(given, 1, report(0, 0))).equal(true);
  });

  it('counts from the first report where the SA is older than this agent', () => {
    const given = new GivenTraffic(true);
    expect(covers(given, 0, report(1000, 90_000))).equal(true);
    expect(covers(given, 0, report(1001, 90_010))).equal(false);
    given.add(0, 10);
    expect(covers(given, 0, report(1001, 90_010))).equal(true);
  });

  it('starts from 0 with another incarnation of the target', () => {
    const given = new GivenTraffic(true);
    given.add(0, 100);
    given.restarted(0);
    expect(covers(given, 0, report(1, 1))).equal(false);
  });
});
