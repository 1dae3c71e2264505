import { expect } from 'chai';
import { bothFamilies } from '../../src/io/guard-rules.ts';
import { addressSets, interfaceName } from '../../src/io/nft.ts';
import { routerGuardRules } from '../../src/io/router-guard.ts';
import { targetGuardRules } from '../../src/io/target-guard.ts';

/** The lines of one chain, without the indentation. */
function chain(rules: string, name: string): string[] {
  const from = rules.indexOf(`chain ${name} {`);
  return rules
    .slice(from, rules.indexOf('}\n', from))
    .split('\n')
    .map((line) => line.trim());
}

describe('guard rules', () => {
  it('guard rules contain no address that is not one', () => {
    const zone = 'fe80::1%eth0';
    for (const bad of [
      '',
      '192.0.2',
      '192.0.2.1/24',
      '192.0.2.1 }; flush ruleset',
      '2001:db8::/64',
      zone,
      '::ffff:1.2.3.4',
    ]) {
      expect(() => addressSets('dvipas', [bad]), bad).to.throw('not an IP address');
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

  it('guard rules write a set for each family, with and without elements, as nft wants it', () => {
    expect(addressSets('dvipas', [])).to.equal(
      'set dvipas4 { type ipv4_addr; }\n  set dvipas6 { type ipv6_addr; }',
    );
    expect(addressSets('dvipas', ['192.0.2.1', '2001:db8::1', '192.0.2.1', '2001:DB8:0::1'])).to.equal(
      'set dvipas4 { type ipv4_addr; elements = { 192.0.2.1 }; }\n' +
        '  set dvipas6 { type ipv6_addr; elements = { 2001:db8::1 }; }',
    );
  });

  it('guard rules about addresses are there for both families, one behind the other', () => {
    expect(
      bothFamilies('  ip daddr @here udp dport 500 return\n  oifname "x" drop\n  ip6 saddr @here6 drop'),
    ).to.equal(
      '  ip daddr @here4 udp dport 500 return\n  ip6 daddr @here6 udp dport 500 return\n' +
        '  oifname "x" drop\n  ip6 saddr @here6 drop',
    );
  });

  it('guard rules have for IPv6 whatever they have for IPv4', () => {
    for (const rules of [routerGuardRules([], [], 1), targetGuardRules([], 'dvipa0', 1)]) {
      const ipv4 = rules.match(/^.*\bip [sd]addr .*$/gm) ?? [];
      expect(ipv4.length).to.be.greaterThan(5);
      for (const line of ipv4)
        expect(rules).to.contain(line.replace(/\bip /, 'ip6 ').replace(/(@\w+)4/, '$16'));
      expect(rules).to.not.match(/@[a-z_]+ /);
    }
  });

  it('guard rules drop ESP on the routing host before a route is looked for, and IPv4 fragments of it when they are one packet', () => {
    const rules = routerGuardRules(['192.0.2.1'], ['192.0.2.10'], 7);
    const drops = (name: string) =>
      chain(rules, name).filter((line) => line.includes('counter name esp_in drop'));
    expect(drops('early').length).to.equal(4);
    expect(drops('input')).to.deep.equal(drops('early'));
    const [, hook, first] = chain(rules, 'early');
    expect(hook).to.equal('type filter hook prerouting priority -300; policy accept;');
    expect(first).to.equal('ip frag-off & 0x3fff != 0 return');
  });

  it('guard rules let the agent send in clear from DVIPAs that distribute clear text, and nobody else', () => {
    const rules = targetGuardRules(['192.0.2.1', '192.0.2.2', '2001:db8::1'], 'dvipa0', 7, {
      clear: ['192.0.2.2'],
    });
    const leaving = chain(rules, 'leaving');
    const [first, second] = [
      'meta mark 7 ip saddr @clear_from4 return',
      'meta mark 7 ip6 saddr @clear_from6 return',
    ];
    expect(leaving).to.include.members([first, second]);
    expect(leaving.indexOf(second)).to.be.lessThan(
      leaving.indexOf('ip saddr @dvipas4 counter name leak_source drop'),
    );
    expect(rules).to.contain('set clear_from4 { type ipv4_addr; elements = { 192.0.2.2 }; }');
    expect(targetGuardRules(['192.0.2.1'], 'dvipa0', 7)).to.contain('set clear_from4 { type ipv4_addr; }');
  });

  it('guard rules let the routing agent send in clear from DVIPAs whose answers leave there, and nobody else', () => {
    const leaving = chain(routerGuardRules(['192.0.2.1'], [], 7), 'leaving');
    const clear = 'meta mark 7 ip saddr @clear_from4 return';
    expect(leaving.indexOf(clear)).to.be.within(
      0,
      leaving.indexOf('ip saddr @dvipas4 counter name leak_out drop'),
    );
    const sets = (given: readonly string[]) => routerGuardRules(['192.0.2.1'], [], 7, { clear: given });
    expect(sets([])).to.contain('set clear_from4 { type ipv4_addr; }');
    expect(sets(['192.0.2.1'])).to.contain('set clear_from4 { type ipv4_addr; elements = { 192.0.2.1 }; }');
  });

  it('guard rules leave the trusted link its own network, on both roles, and say nothing of a link that is not told', () => {
    const place = { interface: 'cluster0', address: '198.51.100.11', port: 4755 };
    const line = 'iifname != "cluster0" ip daddr @link_here4 udp dport 4755 counter name link_stray drop';
    for (const rules of [
      routerGuardRules([], [], 1, { trustedLink: place }),
      targetGuardRules([], 'dvipa0', 1, { trustedLink: place }),
    ]) {
      expect(rules).to.contain('set link_here4 { type ipv4_addr; elements = { 198.51.100.11 }; }');
      expect(chain(rules, 'input')).to.include(line);
    }
    for (const rules of [routerGuardRules([], [], 1), targetGuardRules([], 'dvipa0', 1)])
      expect(rules).to.not.contain('link_');
  });

  it('guard rules let out of ICMP only what is marked and tells an MTU', () => {
    for (const rules of [routerGuardRules([], [], 7), targetGuardRules([], 'dvipa0', 7)]) {
      const returning = chain(rules, 'leaving').filter(
        (line) => /icmp/.test(line) && !/nd-neighbor/.test(line),
      );
      expect(returning).to.deep.equal([
        'meta mark 7 icmp type destination-unreachable icmp code frag-needed return',
        'meta mark 7 icmpv6 type packet-too-big return',
      ]);
    }
  });
});
