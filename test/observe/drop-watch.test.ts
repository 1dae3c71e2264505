import { expect } from 'chai';
import { DropWatch } from '../../src/observe/drop-watch.ts';

describe('drop watch', () => {
  it('tells a reason when its drops start, and once a minute while they go on', () => {
    const watch = new DropWatch();
    expect(watch.look({ replay: 0, icv: 0 }, 0)).to.deep.equal([]);
    expect(watch.look({ replay: 3, icv: 0 }, 1000)).to.deep.equal([{ reason: 'replay', count: 3 }]);
    for (let at = 2000; at < 61_000; at += 1000)
      expect(watch.look({ replay: 3 + at, icv: 0 }, at), `${at} ms`).to.deep.equal([]);
    expect(watch.look({ replay: 70_000, icv: 1 }, 61_000)).to.deep.equal([
      { reason: 'replay', count: 69_997 },
      { reason: 'icv', count: 1 },
    ]);
  });

  it('tells what was dropped after the first news, also if it has stopped meanwhile; then it is quiet', () => {
    const watch = new DropWatch();
    watch.look({ replay: 1 }, 0);
    expect(watch.look({ replay: 9 }, 1000)).to.deep.equal([]);
    expect(watch.look({ replay: 9 }, 60_000)).to.deep.equal([{ reason: 'replay', count: 8 }]);
    expect(watch.look({ replay: 9 }, 600_000)).to.deep.equal([]);
  });

  it('has nothing to say of the padding of peers', () => {
    expect(new DropWatch().look({ dummy: 1000 }, 0)).to.deep.equal([]);
  });
});
