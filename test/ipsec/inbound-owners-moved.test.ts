import { expect } from 'chai';
import { OuterSources } from '../../src/connections/outer-sources.ts';
import { packNumbers } from '../../src/ipsec/number-ranges.ts';
import { InboundOwners } from '../../src/ipsec/inbound-owners.ts';
import { addr } from '../support/inner-packets.ts';

const [FIRST, SECOND] = [0, 1];
const sources = new OuterSources(new Uint8Array(8));
const HERE = sources.numberOf(addr('255.255.255.255'), 0, 0xffff);
const THERE = sources.numberOf(addr('255.255.255.255'), 0, 0xfffe);

function make(windowPackets = 64) {
  const owners = new InboundOwners(windowPackets);
  owners.decide(0, 5, FIRST, 1, HERE);
  return owners;
}

describe('the word of a target that a peer has moved', () => {
  it('is believed of the packet that it was given, from where that came', () => {
    expect(make().moved(0, 5, FIRST, HERE)).to.equal('moved');
  });

  it('is refused of another number, of another target, of another place', () => {
    const owners = make();
    expect(owners.moved(0, 6, FIRST, HERE)).to.equal('refused');
    expect(owners.moved(1, 5, FIRST, HERE)).to.equal('refused');
    expect(owners.moved(0, 5, SECOND, HERE)).to.equal('refused');
    expect(owners.moved(0, 5, FIRST, THERE)).to.equal('refused');
    expect(new InboundOwners(64).moved(0, 5, FIRST, HERE), 'nothing was dispatched').to.equal('refused');
  });

  it('is late once a higher number is reported, by whomever: the packet was held back on its way', () => {
    const owners = make();
    owners.decide(0, 6, SECOND, 1, THERE);
    owners.reported(SECOND, packNumbers([6n]), 0);
    expect(owners.moved(0, 5, FIRST, HERE)).to.equal('late');
  });

  it('is late once its own number is reported', () => {
    const owners = make();
    owners.reported(FIRST, packNumbers([5n]), 1);
    expect(owners.moved(0, 5, FIRST, HERE)).to.equal('late');
  });

  it('says nothing where one number came from two places: a copy of it may have won', () => {
    const owners = make();
    owners.decide(0, 5, FIRST, 2, THERE);
    expect(owners.moved(0, 5, FIRST, HERE)).to.equal('late');
    expect(owners.moved(0, 5, FIRST, THERE)).to.equal('late');
    owners.decide(0, 5, FIRST, 3, THERE);
    expect(owners.moved(0, 5, FIRST, THERE), 'once doubtful, always').to.equal('late');
  });

  it('says nothing where the replay check is off: no number is the highest', () => {
    expect(make(0).moved(0, 5, FIRST, HERE)).to.equal('late');
  });

  it('changes nothing', () => {
    const owners = make();
    owners.moved(0, 5, FIRST, HERE);
    expect(owners.top).to.equal(0n);
    expect(owners.reported(FIRST, packNumbers([5n]), 1)).to.deep.equal({ committed: 1, refused: 0 });
  });
});
