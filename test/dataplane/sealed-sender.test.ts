import { expect } from 'chai';
import { KeyMaterial } from '../../src/base/key-material.ts';
import { LINK_PROTOCOL } from '../../src/dataplane/ports.ts';
import { SealedSender } from '../../src/dataplane/sealed-sender.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { LINK_KIND, type LinkSealer } from '../../src/ipsec/link-seal.ts';
import { outcomes, RecordingLink, vectorOf } from '../support/dataplane-parts.ts';
import { LinkHeader, newOpener, newSealer, openOne } from '../support/link-seal.ts';

const EPOCH = 7;
const key = (target: number) => KeyMaterial.copyOf(Buffer.alloc(32, target + 1));
const packets = (...texts: readonly string[]) => vectorOf(...texts.map((text) => Buffer.from(text)));

describe('sealed-sender', () => {
  let link: RecordingLink;
  let sender: SealedSender;
  let sealers: Map<number, LinkSealer>;
  beforeEach(() => {
    link = new RecordingLink();
    sealers = new Map([0, 1, 2].map((target) => [target, newSealer(target, key(target))]));
    sender = new SealedSender({ link, epoch: () => EPOCH, sealerOf: (target) => sealers.get(target) });
  });

  const take = (vector: PacketVector, i: number, target: number) =>
    vector.drop(i, sender.take(vector, i, target, LINK_KIND.COMMITTED, 0, 0x100 + i));
  /** What went out, as its target reads it. */
  const read = () =>
    link.take().map(({ peer, protocol, epoch, bytes }) => {
      expect([protocol, epoch]).to.deep.equal([LINK_PROTOCOL.SEALED, EPOCH]);
      const [vector, header] = [vectorOf(bytes), new LinkHeader()];
      expect(openOne(newOpener(peer, key(peer)), vector, 0, EPOCH, header)).to.equal(0);
      return `${peer} ${vector.packet(0).toString()} ${header.group.toString(16)} #${header.counter}`;
    });

  it('sends the packets of a vector to several targets, each under its key and in its own count', () => {
    const vector = packets('a', 'b', 'c', 'd');
    for (const [i, target] of [1, 0, 1, 2].entries()) take(vector, i, target);
    sender.send(vector);
    expect(read().toSorted()).to.deep.equal(['0 b 101 #1', '1 a 100 #1', '1 c 102 #2', '2 d 103 #1']);
    expect(sender.sent).to.equal(4);
  });

  it('leaves a packet that it was not given, and one that got a verdict meanwhile, as they are', () => {
    const vector = packets('a', 'b', 'c');
    take(vector, 0, 1);
    take(vector, 2, 1);
    vector.drop(2, 9);
    sender.send(vector);
    expect(read()).to.deep.equal(['1 a 100 #1']);
    expect([1, 2].map((i) => vector.packet(i).toString())).to.deep.equal(['b', 'c']);
    expect(vector.target[1]).to.equal(-1);
  });

  it('gives nothing to the link before it is sealed', () => {
    const vector = packets('a');
    take(vector, 0, 1);
    expect(link.send(vector, 1, EPOCH)).to.equal(0);
  });

  it('sends a packet once, to the target that was named last', () => {
    const vector = packets('a');
    take(vector, 0, 1);
    take(vector, 0, 2);
    sender.send(vector);
    sender.send(vector);
    expect(read()).to.deep.equal(['2 a 100 #1']);
  });

  it('forgets what it was given of a vector that was never sent', () => {
    const [lost, vector] = [packets('a', 'b'), packets('c', 'd')];
    take(lost, 0, 2);
    take(vector, 1, 2);
    sender.send(lost);
    sender.send(vector);
    expect(read()).to.deep.equal(['2 d 101 #1']);
  });

  it('takes nothing for a target without a session, and drops what was taken when the session ended: no-target', () => {
    const vector = packets('a', 'b');
    sealers.delete(0);
    take(vector, 0, 0);
    take(vector, 1, 1);
    sealers.delete(1);
    sender.send(vector);
    expect(outcomes(vector)).to.deep.equal(['no-target', 'no-target']);
    expect(read()).to.deep.equal([]);
  });

  it('drops what has no room for header and tag: too-big', () => {
    const vector = new PacketVector(1, 0, Buffer.alloc(40));
    vector.count = 1;
    vector.offset[0] = 10;
    vector.length[0] = 4;
    take(vector, 0, 1);
    sender.send(vector);
    expect(outcomes(vector)).to.deep.equal(['too-big']);
    expect(read()).to.deep.equal([]);
  });
});
