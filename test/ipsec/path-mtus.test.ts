import { expect } from 'chai';
import { supported } from '../../src/ipsec/algorithms.ts';
import { PathFit } from '../../src/ipsec/path-fit.ts';
import { PathMtus } from '../../src/ipsec/path-mtus.ts';

const LIMITS = { outside: 1500, cluster: 9000 };

describe('path-mtus', () => {
  it('has one path for a pair of addresses, another for any other pair', () => {
    const paths = new PathMtus(LIMITS);
    const path = paths.to('192.0.2.101', '192.0.2.10', 4);
    expect(paths.to('192.0.2.101', '192.0.2.10', 4)).to.equal(path);
    expect(paths.to('192.0.2.102', '192.0.2.10', 4)).to.not.equal(path);
    expect(paths.to('192.0.2.101', '192.0.2.11', 4)).to.not.equal(path);
  });

  it('is bounded, and forgets the oldest path first', () => {
    const paths = new PathMtus(LIMITS, 2);
    const [first, second] = ['a', 'b'].map((peer) => paths.to(peer, 'us', 6));
    const third = paths.to('c', 'us', 6);
    expect(paths.to('b', 'us', 6)).to.equal(second);
    expect(paths.to('c', 'us', 6)).to.equal(third);
    expect(paths.to('a', 'us', 6)).to.not.equal(first);
  });

  it('has what fits for a shape worked out once, and never that of another shape', () => {
    const support = supported({ transform: 20, keyMaterialBytes: 20 });
    if (!support.isSupported) throw new Error(support.reason);
    const { suite } = support;
    const paths = new PathMtus(LIMITS);
    const shape = { suite, mode: 'tunnel', outerFamily: 4, hasUdpEncapsulation: true } as const;
    const fit = paths.fitOf(shape, '192.0.2.101', '192.0.2.10');
    expect(paths.fitOf({ ...shape }, '192.0.2.101', '192.0.2.10')).to.equal(fit);
    expect(paths.fitOf(shape, '192.0.2.102', '192.0.2.10')).to.not.equal(fit);
    for (const other of [
      { ...shape, mode: 'transport' as const },
      { ...shape, hasUdpEncapsulation: false },
    ]) {
      const larger = paths.fitOf(other, '192.0.2.101', '192.0.2.10');
      expect(larger.innerBytes).to.be.above(fit.innerBytes);
      expect(larger.path).to.equal(fit.path);
    }
  });

  it('lowered for one SA is lowered for the others of the path, and for all until ten minutes later', () => {
    const support = supported({ transform: 20, keyMaterialBytes: 20 });
    if (!support.isSupported) throw new Error(support.reason);
    const paths = new PathMtus(LIMITS);
    const [one, other] = (['tunnel', 'transport'] as const).map((mode) => {
      const shape = { suite: support.suite, mode, outerFamily: 4, hasUdpEncapsulation: true } as const;
      return new PathFit(shape, paths.to('peer', 'us', 4), LIMITS);
    }) as [PathFit, PathFit];
    one.lower(1300, 0, 0);
    other.refresh(1);
    expect([one.outerMtu, other.outerMtu]).to.deep.equal([1300, 1300]);
    expect(other.path.isLowered(1)).to.equal(true);
    other.refresh(600_000);
    one.refresh(600_000);
    expect([one.outerMtu, other.outerMtu]).to.deep.equal([1500, 1500]);
    expect(other.path.isLowered(600_000)).to.equal(false);
  });
});
