import { expect } from 'chai';
import { planHost, planHosts } from '../../src/lab/addresses.ts';
import { hostCommands, sysctlsOf } from '../../src/lab/network.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { readScenario, render, scenarioNames } from '../../src/lab/scenario.ts';

describe('lab scenario', () => {
  it('fills every {{name}} of a template, wherever it stands', () => {
    expect(render('a {{x}}/{{y}}\n{{x}}', { x: '192.0.2.10', y: 32 }, 'here')).to.equal(
      'a 192.0.2.10/32\n192.0.2.10',
    );
  });

  it('refuses a {{name}} that has no value, and names file and value', () => {
    expect(() => render('{{lost}}', {}, 'router1/swanctl.conf')).to.throw(
      'router1/swanctl.conf: no value for {{lost}}',
    );
    expect(() => render('{{constructor}}', {}, 'here')).to.throw('no value');
  });

  it('does not fill in twice: a value may look like a template', () => {
    expect(render('{{x}}', { x: '{{y}}', y: 'no' }, 'here')).to.equal('{{y}}');
  });

  it('is one of the folders of strongswan-conf/; another name is refused with the ones there are', () => {
    expect(scenarioNames(PROJECT_ROOT)).to.deep.equal(['bench', 'direct', 'endpoint', 'matrix', 'roads']);
    expect(() => readScenario(PROJECT_ROOT, 'nowhere')).to.throw(
      "no scenario 'nowhere', expected one of: bench, direct, endpoint, matrix, roads",
    );
    expect(() => readScenario(PROJECT_ROOT, '../src')).to.throw('no scenario');
  });

  it('puts the endpoint before the DVIPA in `endpoint`, and on it in `direct`', () => {
    const endpoint = readScenario(PROJECT_ROOT, 'endpoint');
    const direct = readScenario(PROJECT_ROOT, 'direct');
    expect([endpoint.dvipa, endpoint.endpoint]).to.deep.equal(['203.0.113.10', '192.0.2.10']);
    expect([direct.dvipa, direct.endpoint]).to.deep.equal(['203.0.113.10', '203.0.113.10']);
  });

  it('has IPv6 only where it names a second DVIPA: wires of the others stay quiet', () => {
    const host = planHost('kernel', 1);
    const network = (name: string) => {
      const scenario = readScenario(PROJECT_ROOT, name);
      return [...sysctlsOf(scenario), ...hostCommands(scenario, host)].join('\n');
    };
    expect(network('endpoint')).to.contain('disable_ipv6=1').and.not.contain('2001:db8');
    expect(network('matrix')).to.contain('addr add 2001:db8::111/64').and.not.contain('disable_ipv6=1');
    expect(network('matrix')).to.not.match(/addr add \S*:\S*(?!.* nodad)$/m);
  });

  it('may give its links another MTU; it is 1500 otherwise', () => {
    const scenario = readScenario(PROJECT_ROOT, 'endpoint');
    const router = planHost('router', 1);
    expect(hostCommands(scenario, router)).to.include('link set cluster0 mtu 1500 up');
    const jumbo = { ...scenario, mtu: { cluster: 9000 } };
    expect(hostCommands(jumbo, router)).to.include.members([
      'link set outside0 mtu 1500 up',
      'link set cluster0 mtu 9000 up',
    ]);
  });
});

describe('lab addresses', () => {
  it('are those of the documentation networks, one host kind a range', () => {
    expect(planHost('router', 1)).to.include({ outsideAddress: '192.0.2.1', clusterAddress: '198.51.100.1' });
    expect(planHost('target', 3)).to.include({
      outsideAddress: '192.0.2.23',
      clusterAddress: '198.51.100.13',
    });
    expect(planHost('client', 2)).to.include({ outsideAddress: '192.0.2.102', innerAddress: '10.1.2.1' });
    expect(planHost('kernel', 2)).to.include({
      outsideAddress6: '2001:db8::112',
      innerAddress6: '2001:db8:1:12::1',
    });
  });

  it('never meet, with as many hosts as the lab allows', () => {
    const addresses = planHosts({ targets: 9, clients: 9, kernels: 9 }).flatMap((host) => [
      host.outsideAddress,
      host.outsideAddress6,
      host.clusterAddress,
      host.innerAddress,
      host.innerAddress6,
    ]);
    const given = addresses.filter((address) => address !== undefined);
    expect(new Set(given).size).to.equal(given.length);
    expect(given).to.not.include.members(['192.0.2.10', '2001:db8::10']);
  });
});
