import { expect } from 'chai';
import * as fc from 'fast-check';
import { Spd } from '../../src/ipsec/spd.ts';
import { SpdCoverage } from '../../src/ipsec/spd-coverage.ts';
import { addr } from '../support/inner-packets.ts';
import { innerColumns } from '../support/inner-columns.ts';
import { policyFor, testSa } from '../support/test-sas.ts';
import { parseTrafficSelector, type TrafficSelector } from '../../src/ipsec/traffic-selector.ts';

const [TCP, UDP, ICMP, GRE] = [6, 17, 1, 47];
const DVIPA = '203.0.113.10';

const talk = (peer: string, protocol = TCP, sourcePort = 40_000, destinationPort = 80) => ({
  dvipa: addr(DVIPA),
  source: addr(peer),
  protocol,
  sourcePort,
  destinationPort,
});

const selector = (text: string) => parseTrafficSelector(text) as TrafficSelector;

let count = 0;
const policy = (ours: string, theirs: string) => ({
  ...policyFor(testSa({ spi: 0xc000_0001, direction: 'out' })),
  key: `policy ${count++}`,
  source: selector(ours),
  destination: selector(theirs),
});

describe('what policies want protected', () => {
  it('is every packet of a conversation that one is about', () => {
    const spd = new Spd();
    spd.install(policy('203.0.113.10/32[tcp/80]', '10.1.0.0/16'));
    const cases = [
      talk('10.1.2.3'),
      talk('10.1.2.3', TCP, 1, 81),
      talk('10.1.2.3', UDP),
      talk('10.2.2.3'),
      { ...talk('10.1.2.3'), dvipa: addr('203.0.113.11') },
    ];
    expect(cases.map((one) => spd.covers(one))).to.deep.equal([true, false, false, false, false]);
  });

  it('is each message of ICMP, whatever types the policy names, and each packet without ports', () => {
    const spd = new Spd();
    spd.install(policy('203.0.113.10/32[icmp/2048]', '10.1.0.0/16[icmp/2048]'));
    spd.install(policy('203.0.113.10/32[47/1]', '10.1.0.0/16[47/1]'));
    expect([ICMP, GRE, TCP].map((protocol) => spd.covers(talk('10.1.2.3', protocol, 0, 0)))).to.deep.equal([
      true,
      true,
      false,
    ]);
  });

  it('is at least what a policy seals', () => {
    const ours = fc.constantFrom(
      '203.0.113.10/32',
      '203.0.113.10/32[tcp]',
      '203.0.113.10/32[tcp/80]',
      '0.0.0.0/0[udp]',
    );
    const theirs = fc.constantFrom('10.1.0.0/16', '10.1.1.0/24[tcp]', '10.1.1.1/32[udp/53]', '0.0.0.0/0');
    const packet = fc.record({
      peer: fc.constantFrom('10.1.1.1', '10.1.2.1', '192.0.2.7'),
      protocol: fc.constantFrom(TCP, UDP, ICMP, GRE),
      sourcePort: fc.constantFrom(0, 53, 40_000),
      destinationPort: fc.constantFrom(0, 53, 80),
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(ours, theirs), { maxLength: 4 }),
        fc.array(packet),
        (policies, packets) => {
          const spd = new Spd();
          const coverage = new SpdCoverage(spd);
          for (const [from, to] of policies) {
            spd.install(policy(from, to));
            for (const { peer, protocol, sourcePort: theirPort, destinationPort: ourPort } of packets) {
              const conversation = talk(peer, protocol, theirPort, ourPort);
              const sent = innerColumns({
                source: DVIPA,
                destination: peer,
                protocol,
                sourcePort: ourPort,
                destinationPort: theirPort,
              });
              if (spd.lookup(sent, 0) !== undefined) expect(spd.covers(conversation)).to.equal(true);
              expect(coverage.covers(conversation)).to.equal(spd.covers(conversation));
            }
          }
        },
      ),
    );
  });

  it('follows each change at once', () => {
    const spd = new Spd();
    const coverage = new SpdCoverage(spd);
    const one = policy('203.0.113.10/32', '10.1.0.0/16');
    const answers = [coverage.covers(talk('10.1.2.3'))];
    spd.install(one);
    answers.push(coverage.covers(talk('10.1.2.3')));
    spd.remove(one.key);
    answers.push(coverage.covers(talk('10.1.2.3')));
    expect(answers).to.deep.equal([false, true, false]);
  });
});
