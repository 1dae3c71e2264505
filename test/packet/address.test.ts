import { expect } from 'chai';
import { formatIpv4Address, parseIpv4Address } from '../../src/packet/address.ts';

describe('address', () => {
  it('reads and prints IPv4 addresses as host numbers', () => {
    expect(parseIpv4Address('192.0.2.1')).to.equal(0xc0000201);
    expect(parseIpv4Address('255.255.255.255')).to.equal(0xffffffff);
    expect(formatIpv4Address(0xcb00710a)).to.equal('203.0.113.10');
    expect(formatIpv4Address(0)).to.equal('0.0.0.0');
  });

  it('refuses everything that is not four plain decimal parts', () => {
    for (const text of [
      '',
      '1.2.3',
      '1.2.3.4.5',
      '01.2.3.4',
      '1.2.3.256',
      '1.2.3.-4',
      ' 1.2.3.4',
      '0x1.2.3.4',
      '::1',
    ])
      expect(parseIpv4Address(text), text).to.equal(undefined);
  });
});
