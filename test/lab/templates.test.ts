import { expect } from 'chai';
import { parseConfig } from '../../src/config/index.ts';
import { planHosts } from '../../src/lab/addresses.ts';
import { templateValues } from '../../src/lab/host-files.ts';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { readScenario, renderHost, scenarioNames } from '../../src/lab/scenario.ts';

const hosts = planHosts({ targets: 3, clients: 2, kernels: 1 });

function filesOf(scenarioName: string, hostName: string): Map<string, string> {
  const scenario = readScenario(PROJECT_ROOT, scenarioName);
  const host = hosts.find(({ name }) => name === hostName);
  if (host === undefined) throw new Error(hostName);
  return renderHost(scenario, host, templateValues({ scenario, hosts, folder: '/lab', values: {} }, host));
}

for (const scenario of scenarioNames(PROJECT_ROOT)) {
  describe(`strongswan-conf/${scenario}`, () => {
    it('gives the routing host a configuration that its agent takes, with every target in it', () => {
      const config = parseConfig(filesOf(scenario, 'router1').get('dvipa.yaml') ?? '', 'router1/dvipa.yaml');
      if (config.role !== 'route') throw new Error(config.role);
      expect(config.targets.map(({ address }) => address)).to.deep.equal([
        '198.51.100.11',
        '198.51.100.12',
        '198.51.100.13',
      ]);
      expect(config.dvipas[0]?.targets).to.deep.equal(['target1', 'target2', 'target3']);
      expect(config.dvipas[0]?.endpoints[0]).to.equal(readScenario(PROJECT_ROOT, scenario).endpoint);
    });

    it('gives every target one, also those without a folder of their own', () => {
      for (const name of ['target1', 'target2', 'target3']) {
        const config = parseConfig(filesOf(scenario, name).get('dvipa.yaml') ?? '', `${name}/dvipa.yaml`);
        expect(config.role).to.equal('target');
        expect(config.host).to.equal(name);
      }
    });

    it('has one setting per line in what charon reads (swanctl.conf knows no other form)', () => {
      for (const name of ['router1', 'client1', 'client2', 'kernel1']) {
        for (const line of (filesOf(scenario, name).get('swanctl.conf') ?? '').split('\n')) {
          expect(line.match(/=/g)?.length ?? 0, line).to.be.at.most(1);
        }
      }
    });

    it('leaves nothing of ours on a client', () => {
      for (const name of ['client1', 'kernel1']) {
        expect([...filesOf(scenario, name).keys()].toSorted()).to.deep.equal([
          'strongswan.conf',
          'swanctl.conf',
        ]);
        expect(filesOf(scenario, name).get('strongswan.conf')).to.not.contain('kernel-dvipa');
      }
    });

    it('has the ESP of the kernel on a kernel, and of user space on a client', () => {
      expect(filesOf(scenario, 'client1').get('strongswan.conf')).to.contain(' kernel-libipsec ');
      expect(filesOf(scenario, 'kernel1').get('strongswan.conf')).to.not.contain('libipsec');
    });

    it('makes the plugin critical on the routing host, before the backend that it must win over', () => {
      const load =
        /load = (.*)/.exec(filesOf(scenario, 'router1').get('strongswan.conf') ?? '')?.[1]?.split(' ') ?? [];
      expect(load).to.include('kernel-dvipa!');
      expect(load.indexOf('kernel-dvipa!')).to.be.lessThan(load.indexOf('kernel-netlink'));
    });
  });
}
