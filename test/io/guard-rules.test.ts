import { expect } from 'chai';
import { addressSet, interfaceName } from '../../src/io/nft.ts';
import { routerGuardRules } from '../../src/io/router-guard.ts';
import { targetGuardRules } from '../../src/io/target-guard.ts';

describe('guard rules', () => {
  it('guard rules contain no address that is not one', () => {
    for (const bad of ['', '192.0.2', '192.0.2.1/24', '192.0.2.1 }; flush ruleset', '2001:db8::1']) {
      expect(() => addressSet('dvipas', [bad]), bad).to.throw('not an IPv4 address');
      expect(() => routerGuardRules([bad], [], 1)).to.throw();
      expect(() => targetGuardRules([bad], 'dvipa0', 1)).to.throw();
    }
  });

  it('guard rules contain no interface name that could end a string', () => {
    for (const bad of ['', 'a"', 'a b', 'sixteen-letters-', '*', 'a;b']) {
      expect(() => interfaceName(bad), bad).to.throw('not an interface name');
    }
    expect(interfaceName('eth0.4094@if3')).to.equal('"eth0.4094@if3"');
  });

  it('guard rules write a set without elements as nft wants it', () => {
    expect(addressSet('dvipas', [])).to.equal('set dvipas { type ipv4_addr; }');
    expect(addressSet('dvipas', ['192.0.2.1', '192.0.2.1'])).to.equal(
      'set dvipas { type ipv4_addr; elements = { 192.0.2.1 }; }',
    );
  });
});
