import { expect } from 'chai';
import { LinkCopies } from '../../src/io/link-copies.ts';

const OUTER = 0x0800;

describe('link groups', () => {
  const delivered: { peer: number; epoch: number; texts: string[]; dispatch: number[] }[] = [];
  const collect = new LinkCopies((packets, peer, _protocol, epoch) => {
    const texts = Array.from({ length: packets.count }, (_, i) => packets.packet(i).toString());
    delivered.push({ peer, epoch, texts, dispatch: [...packets.dispatch.subarray(0, packets.count)] });
  });
  const add = (text: string, peer = 1, epoch = 1, dispatch = 0) =>
    collect.add(Buffer.from(text), peer, OUTER, epoch, dispatch);
  beforeEach(() => {
    delivered.length = 0;
  });

  it('link groups deliver one vector per peer and epoch, in the order of arrival', () => {
    add('a', 1, 1, 10);
    add('b', 2, 1, 20);
    add('c', 1, 1, 11);
    add('d', 1, 2, 1);
    expect(delivered).to.deep.equal([]);
    collect.flush();
    expect(delivered).to.deep.equal([
      { peer: 1, epoch: 1, texts: ['a', 'c'], dispatch: [10, 11] },
      { peer: 2, epoch: 1, texts: ['b'], dispatch: [20] },
      { peer: 1, epoch: 2, texts: ['d'], dispatch: [1] },
    ]);
    collect.flush();
    expect(delivered.length, 'nothing twice').to.equal(3);
  });

  it('link groups deliver a full vector at once', () => {
    for (let i = 0; i < 65; i++) add(`${i}`);
    expect(delivered.map(({ texts }) => texts.length)).to.deep.equal([64]);
    collect.flush();
    expect(delivered.map(({ texts }) => texts.length)).to.deep.equal([64, 1]);
  });

  it('link groups stay few, whatever epochs a peer makes up', () => {
    for (let epoch = 0; epoch < 100; epoch++) add('x', 1, epoch);
    collect.flush();
    expect(delivered.length).to.equal(100);
  });

  it('link groups deliver a packet longer than a slot by itself, behind what came before it', () => {
    add('a', 1, 1, 1);
    expect(add('x'.repeat(65_000), 1, 1, 2)).to.equal(true);
    add('b', 1, 1, 3);
    collect.flush();
    const lengths = delivered.map(({ texts, dispatch }) => [texts.map((text) => text.length), dispatch]);
    expect(lengths).to.deep.equal([
      [[1], [1]],
      [[65_000], [2]],
      [[1], [3]],
    ]);
    expect(add('x'.repeat(65_536))).to.equal(false);
  });

  it('link groups lose one vector when the receiver throws, not the others, and go on', () => {
    const seen: number[] = [];
    const groups = new LinkCopies((_packets, peer) => {
      if (peer === 1) throw new Error('receiver');
      seen.push(peer);
    });
    for (const peer of [1, 2]) groups.add(Buffer.from('x'), peer, OUTER, 1, 0);
    expect(() => groups.flush()).to.throw('receiver');
    expect(seen).to.deep.equal([2]);
    groups.add(Buffer.from('x'), 3, OUTER, 1, 0);
    groups.flush();
    expect(seen).to.deep.equal([2, 3]);
  });
});
