import { expect } from 'chai';
import { networkOf } from '../../src/agents/inbound-filter.ts';
import { InboundFilter } from '../../src/dataplane/inbound-filter.ts';
import { addr } from '../support/inner-packets.ts';

describe('inbound-filter', () => {
  const any = { fromPort: 0, toPort: 65_535, protocol: 0 };
  const [office, site] = ['10.1.0.0/16', '2001:db8:1::/48'].map((network) => ({
    source: networkOf(network),
  }));

  it('permits everything without rules', () => {
    expect(new InboundFilter([]).permits(6, addr('10.1.1.1'), 0, 22)).to.equal(true);
  });

  it('goes by the first rule that matches, and denies when none does', () => {
    const filter = new InboundFilter([
      { ...any, ...office, action: 'deny', protocol: 6, fromPort: 22, toPort: 22 },
      { ...any, ...office, action: 'permit', protocol: 6, fromPort: 1, toPort: 1023 },
    ]);
    const permits = [
      [6, '10.1.9.9', 22],
      [6, '10.1.9.9', 23],
      [6, '10.1.9.9', 1024],
      [17, '10.1.9.9', 23],
      [6, '10.2.0.1', 23],
    ] as const;
    expect(
      permits.map(([protocol, source, port]) => filter.permits(protocol, addr(source), 0, port)),
    ).to.deep.equal([false, true, false, false, false]);
  });

  it('matches sources above 128.0.0.0, where bit 31 is set', () => {
    const filter = new InboundFilter([{ ...any, action: 'permit', source: networkOf('203.0.113.0/24') }]);
    expect([
      filter.permits(6, addr('203.0.113.77'), 0, 1),
      filter.permits(6, addr('203.0.114.77'), 0, 1),
    ]).to.deep.equal([true, false]);
  });

  it('lets a rule for some ports match no packet that shows none', () => {
    const filter = new InboundFilter([{ ...any, action: 'permit', fromPort: 0, toPort: 4000 }]);
    expect(filter.permits(1, addr('10.1.1.1'), 0, 0x0800), 'ICMP echo').to.equal(false);
    expect(filter.permits(50, addr('10.1.1.1'), 0, 0), 'ESP').to.equal(false);
    expect(filter.permits(17, addr('10.1.1.1'), 0, 53)).to.equal(true);
  });

  it('takes an IPv6 network by all its bits, and nothing of the other family', () => {
    const filter = new InboundFilter([{ ...any, ...site, action: 'permit' }]);
    const permits = (source: string) => filter.permits(6, addr(source), 0, 80);
    expect(['2001:db8:1:2::3', '2001:db8:2::3', '10.1.1.1'].map(permits)).to.deep.equal([true, false, false]);
    const everywhere = new InboundFilter([{ ...any, source: networkOf('0.0.0.0/0'), action: 'permit' }]);
    expect(everywhere.permits(6, addr('10.1.1.1'), 0, 80)).to.equal(true);
    expect(everywhere.permits(6, addr('2001:db8::1'), 0, 80)).to.equal(false);
  });
});
