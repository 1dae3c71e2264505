import { expect } from 'chai';
import * as fc from 'fast-check';
import type { OutboundPolicy } from '../../src/ipsec/sa.ts';
import { Spd } from '../../src/ipsec/spd.ts';
import { type TrafficSelector, trafficSelectorOf } from '../../src/ipsec/traffic-selector.ts';
import { innerColumns } from '../support/inner-columns.ts';
import { CLIENT_INNER, DVIPA } from '../support/inner-packets.ts';
import { policyFor, testSa } from '../support/test-sas.ts';

const sa = testSa({ spi: 0x2001, direction: 'out' });
const packet = { source: DVIPA, destination: CLIENT_INNER, sourcePort: 80, destinationPort: 40_000 };
const find = (spd: Spd) => spd.lookup(innerColumns(packet), 0)?.key;

describe('the outbound SPD', () => {
  it('answers with the policy of the smallest priority number, in whatever order they came', () => {
    const spd = new Spd();
    spd.install(policyFor(sa, { key: 'wide', priority: 9 }));
    spd.install(policyFor(sa, { key: 'narrow', priority: 3 }));
    spd.install(policyFor(sa, { key: 'middle', priority: 5 }));
    expect(find(spd)).to.equal('narrow');
    expect(spd.policies().map(({ key }) => key)).to.deep.equal(['narrow', 'middle', 'wide']);
  });

  it('forgets what it remembered of a flow with every change', () => {
    const spd = new Spd();
    expect(find(spd)).to.equal(undefined);
    spd.install(policyFor(sa, { key: 'wide', priority: 9 }));
    expect(find(spd)).to.equal('wide');
    spd.install(policyFor(sa, { key: 'narrow', priority: 3 }));
    expect(find(spd)).to.equal('narrow');
    spd.remove('narrow');
    spd.remove('unknown');
    expect(find(spd)).to.equal('wide');
    spd.remove('wide');
    expect(find(spd)).to.equal(undefined);
  });

  it('replaces a policy of the same key: the switch to another SA', () => {
    const spd = new Spd();
    spd.install(policyFor(sa, { key: 'one', spi: testSa({ spi: 0x2001 }).spi }));
    spd.install(policyFor(sa, { key: 'one', spi: testSa({ spi: 0x2002 }).spi }));
    expect(spd.policies()).to.have.length(1);
    expect(spd.get('one')?.spi).to.equal(0x2002);
    expect(spd.get('two')).to.equal(undefined);
  });

  it('takes thousands in a row without sorting them each time', () => {
    const spd = new Spd();
    for (let i = 0; i < 10_000; i++) spd.install(policyFor(sa, { key: `${i}`, priority: 10_000 - i }));
    expect(find(spd)).to.equal('9999');
  }).timeout(1000);

  it('answers with the first in its order that matches, single destinations and networks among each other', () => {
    const address = fc.integer({ min: 1, max: 4 }).map((host) => `10.0.0.${host}`);
    const destination = fc.oneof(
      address.map((one) => ({ from: one, to: one })),
      fc.constantFrom({ from: '10.0.0.1', to: '10.0.0.2' }, { from: '10.0.0.0', to: '10.0.0.255' }),
    );
    const protocol = fc.constantFrom(0, 6, 17);
    const policies = fc.array(fc.record({ destination, protocol, priority: fc.integer({ min: 1, max: 5 }) }));
    fc.assert(
      fc.property(policies, address, fc.constantFrom(6, 17), (given, to, of) => {
        const spd = new Spd();
        for (const [n, each] of given.entries()) {
          const selector = trafficSelectorOf({ ...each.destination, protocol: each.protocol });
          const { priority } = each;
          spd.install(
            policyFor(sa, { key: `${n}`, priority, group: n, destination: selector as TrafficSelector }),
          );
        }
        const inner = innerColumns({ ...packet, destination: to, protocol: of });
        const isAlone = (policy: OutboundPolicy) => {
          const alone = new Spd();
          alone.install(policy);
          return alone.lookup(inner, 0) !== undefined;
        };
        expect(spd.lookup(inner, 0)?.key).to.equal(spd.policies().find(isAlone)?.key);
      }),
    );
  });
});
