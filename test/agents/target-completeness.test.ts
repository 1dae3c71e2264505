import { expect } from 'chai';
import { TAKEN_FOR_DEAD_MS, TargetCompleteness } from '../../src/agents/routing/target-completeness.ts';
import { Cluster, type TargetPeer } from '../../src/agents/routing/target-peers.ts';
import { routeConfig, silent } from '../support/cluster/router.ts';

const setUp = (targets = 2, authorised = targets) => {
  const cluster = new Cluster(routeConfig(targets, authorised));
  const [service] = [...cluster.dvipas.values()];
  if (service === undefined) throw new Error('no DVIPA');
  const time = { now: 1000, isOwner: true };
  const completeness = new TargetCompleteness({
    cluster,
    log: silent,
    now: () => time.now,
    isOwner: () => time.isOwner,
  });
  const peer = (n: number) => cluster.peers[n - 1] as TargetPeer;
  const listed = (n: number, incarnation = 1n) => {
    peer(n).incarnation = incarnation;
    completeness.listed(peer(n));
  };
  const lost = (n: number) => completeness.lost(peer(n));
  const passed = (ms: number) => {
    time.now += ms;
    completeness.tick();
  };
  const isComplete = () => completeness.isComplete(service);
  return { time, completeness, listed, lost, passed, isComplete };
};

/** All targets have listed. */
const complete = () => {
  const parts = setUp();
  parts.listed(1);
  parts.listed(2);
  return parts;
};

describe('completeness of targets', () => {
  it('is not there after a start until all authorised targets have listed their connections', () => {
    const { listed, isComplete, passed } = setUp(3, 2);
    expect(isComplete()).to.equal(false);
    listed(1);
    listed(3);
    passed(TAKEN_FOR_DEAD_MS - 1);
    expect(isComplete()).to.equal(false);
    listed(2);
    expect(isComplete()).to.equal(true);
  });

  it('is there 30 s after a start, whoever has not come', () => {
    const { passed, isComplete } = setUp();
    passed(TAKEN_FOR_DEAD_MS - 1);
    expect(isComplete()).to.equal(false);
    passed(1);
    expect(isComplete()).to.equal(true);
  });

  it('counts these 30 s from when targets can come, not while charon is waited for', () => {
    const { time, passed, isComplete } = setUp();
    time.isOwner = false;
    passed(10 * TAKEN_FOR_DEAD_MS);
    time.isOwner = true;
    passed(TAKEN_FOR_DEAD_MS - 1);
    expect(isComplete()).to.equal(false);
    passed(1);
    expect(isComplete()).to.equal(true);
  });

  it('ends with the loss of a target, and is there again when that one has listed', () => {
    const { lost, listed, passed, isComplete } = complete();
    lost(2);
    expect(isComplete()).to.equal(false);
    passed(5000);
    expect(isComplete()).to.equal(false);
    listed(2);
    expect(isComplete()).to.equal(true);
  });

  it('is there again 30 s after the loss', () => {
    const { lost, passed, isComplete } = complete();
    lost(2);
    passed(TAKEN_FOR_DEAD_MS - 1);
    expect(isComplete()).to.equal(false);
    passed(1);
    expect(isComplete()).to.equal(true);
  });

  it('waits these 30 s also if the agent comes back in another life: it has nothing to list', () => {
    const { lost, listed, passed, isComplete } = complete();
    lost(2);
    passed(1000);
    listed(2, 2n);
    expect(isComplete()).to.equal(false);
    passed(TAKEN_FOR_DEAD_MS - 1000);
    expect(isComplete()).to.equal(true);
  });

  it('is not put off for ever by a target that comes and goes without listing anything', () => {
    const { lost, passed, isComplete } = complete();
    lost(2);
    for (let i = 0; i < 30; i++) {
      passed(1000);
      lost(2);
    }
    expect(isComplete()).to.equal(true);
  });

  it('does not depend on a target that is not authorised', () => {
    const { listed, lost, isComplete } = setUp(3, 2);
    listed(1);
    listed(2);
    listed(3);
    lost(3);
    expect(isComplete()).to.equal(true);
  });
});
