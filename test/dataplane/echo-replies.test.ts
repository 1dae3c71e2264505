import { expect } from 'chai';
import { newConnectionKey } from '../../src/connections/connection-key.ts';
import { Distributor } from '../../src/connections/distributor.ts';
import { echoKey } from '../../src/dataplane/echo-key.ts';
import { readInnerHeaders } from '../../src/dataplane/inner-headers.ts';
import { TargetChoice } from '../../src/dataplane/target-choice.ts';
import { vectorOf } from '../support/dataplane-parts.ts';
import { addr, CLIENT_INNER, DVIPA, ipv4 } from '../support/inner-packets.ts';

const ENTRY = { sa: { group: 1 }, dvipa: { address: addr(DVIPA) }, serving: new Set<number>() };
const REPLY = 0;
const REQUEST = 8;

const echo = (type: number, id: number) =>
  ipv4({ protocol: 1, payload: Buffer.from([type, 0, 0, 0, id >> 8, id & 255, 0, 1]) });

function setUp() {
  const distributor = new Distributor({ seed: Buffer.alloc(8, 1), capacity: 64 });
  distributor.setDvipa(addr(DVIPA));
  for (const target of [0, 1, 2]) distributor.addTarget(addr(DVIPA), target);
  const choice = new TargetChoice(distributor);
  const targetOf = (packet: Buffer) => {
    const vector = vectorOf(packet);
    readInnerHeaders(vector, 0);
    return choice.choose(vector, 0, ENTRY, 0);
  };
  const key = { ...newConnectionKey(), dvipa: addr(DVIPA), group: 1, source: addr(CLIENT_INNER) };
  const ask = (id: number, target: number) => distributor.open({ ...echoKey(key, 1, id) }, target, 0);
  return { targetOf, ask };
}

describe('ICMP echo on the routing host', () => {
  it('a reply goes to the target that asked, by its identifier', () => {
    const { targetOf, ask } = setUp();
    for (let id = 0; id < 3; id++) expect(ask(id, id)).equal(true);
    expect([0, 1, 2].map((id) => targetOf(echo(REPLY, id)))).deep.equal([0, 1, 2]);
    expect(ask(1, 2), 'an identifier is one target’s').equal(false);
  });

  it('requests of a peer, and replies to nobody, go to one target whatever their identifier', () => {
    const { targetOf, ask } = setUp();
    for (let id = 0; id < 3; id++) ask(id, id);
    const others = [echo(REQUEST, 0), echo(REQUEST, 1), echo(REQUEST, 2), echo(REPLY, 3), echo(REPLY, 4)];
    expect(new Set(others.map(targetOf)).size).equal(1);
  });
});
