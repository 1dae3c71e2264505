import { expect } from 'chai';
import { planHost, planHosts } from '../../src/lab/addresses.ts';
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
    expect(scenarioNames(PROJECT_ROOT)).to.deep.equal(['direct', 'endpoint']);
    expect(() => readScenario(PROJECT_ROOT, 'nowhere')).to.throw(
      "no scenario 'nowhere', expected one of: direct, endpoint",
    );
    expect(() => readScenario(PROJECT_ROOT, '../src')).to.throw('no scenario');
  });

  it('puts the endpoint before the DVIPA in `endpoint`, and on it in `direct`', () => {
    const endpoint = readScenario(PROJECT_ROOT, 'endpoint');
    const direct = readScenario(PROJECT_ROOT, 'direct');
    expect([endpoint.dvipa, endpoint.endpoint]).to.deep.equal(['203.0.113.10', '192.0.2.10']);
    expect([direct.dvipa, direct.endpoint]).to.deep.equal(['203.0.113.10', '203.0.113.10']);
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
  });

  it('never meet, with as many hosts as the lab allows', () => {
    const addresses = planHosts(9, 9).flatMap((host) => [
      host.outsideAddress,
      host.clusterAddress,
      host.innerAddress,
    ]);
    const given = addresses.filter((address) => address !== undefined);
    expect(new Set(given).size).to.equal(given.length);
    expect(given).to.not.include('192.0.2.10');
  });
});
