import { expect } from 'chai';
import { assert, constantFrom, property, record, subarray } from 'fast-check';
import { configChanges, type RouteConfig, parseConfig } from '../../src/config/index.ts';
import { effectOf } from '../../src/config/config-changes.ts';
import { ROUTE_YAML, TARGET_YAML } from './example.ts';

const route = (change: (text: string) => string = (text) => text) =>
  parseConfig(change(ROUTE_YAML), 'dvipa.yaml') as RouteConfig;
const replaced = (from: string, to: string) =>
  route((text) => {
    expect(text).to.contain(from);
    return text.replace(from, to);
  });
const pathsOf = (after: RouteConfig) => configChanges(route(), after).map(({ path }) => path);

/** Configurations of a few choices each, so that equal ones come often. */
const configs = record({
  weight: constantFrom(1, 2),
  affinity: constantFrom('none', 'sa', '{ source_seconds: 5 }'),
  hosts: subarray(['target1', 'target2', 'target3'], { minLength: 1 }),
  port: constantFrom(80, 443),
  interface: constantFrom('outside0', 'outside1'),
  level: constantFrom('info', 'debug'),
}).map(({ weight, affinity, hosts, port, interface: name, level }) =>
  route((text) => {
    const targets = hosts.map((host) => `    - { host: ${host}, address: 198.51.100.2${host.at(-1)} }`);
    return text
      .replace('[target1, target2]', `[${hosts.join()}]\n    weights: { ${hosts[0]}: ${weight} }`)
      .replace('round-robin', `round-robin\n    affinity: ${affinity}`)
      .replace(/targets:\n(?: {4}- .*\n)+|targets:\n(?: {2}- .*\n)+/, `targets:\n${targets.join('\n')}\n`)
      .replace('"80"', `"${port}"`)
      .replace('outside0', name)
      .concat(`log: { level: ${level} }\n`);
  }),
);

describe('changes between two configurations', () => {
  it('are named as in the file, with both values and their effect', () => {
    const after = replaced('[target1, target2]', '[target1, target2]\n    weights: { target2: 3 }');
    expect(configChanges(route(), after)).to.deep.equal([
      { path: 'dvipas[203.0.113.10].weights.target2', from: undefined, to: 3, effect: 'now' },
    ]);
    expect(configChanges(route(), replaced('outside0', 'eth1'))).to.deep.equal([
      { path: 'outside.interface', from: 'outside0', to: 'eth1', effect: 'restart' },
    ]);
  });

  it('in lists are told entry by entry, under the entry’s name; lists without names as one value', () => {
    const third = '    - { host: target3, address: 198.51.100.13 }\n';
    expect(pathsOf(replaced('coupling:', `${third.slice(2)}coupling:`))).to.have.members([
      'dvipas[203.0.113.10].source_ports.block',
      'targets[target3]',
    ]);
    expect(pathsOf(replaced('"80"', '"443"'))).to.deep.equal(['dvipas[203.0.113.10].rules']);
    expect(pathsOf(replaced('endpoint: 192.0.2.10', 'endpoint: 192.0.2.11'))).to.deep.equal([
      'dvipas[203.0.113.10].endpoint',
    ]);
    const services = 'services: [{ protocol: tcp, port: 443 }]\n      distribution: round-robin';
    expect(pathsOf(replaced('distribution: round-robin', services.replace('      ', '    ')))).to.deep.equal([
      'dvipas[203.0.113.10].services[tcp 443]',
    ]);
  });

  it('of places of targets are told, since source ports and hot standby go by them', () => {
    expect(pathsOf(replaced('[target1, target2]', '[target2, target1]'))).to.deep.equal([
      'dvipas[203.0.113.10].targets',
    ]);
  });

  it('of a target’s address, of what the agent has opened, and of the role need a restart', () => {
    const address = configChanges(route(), replaced('198.51.100.12', '198.51.100.13'));
    expect(address.map(({ path, effect }) => [path, effect])).to.deep.equal([
      ['targets[target2].address', 'restart'],
    ]);
    const other = configChanges(route(), parseConfig(TARGET_YAML, 'dvipa.yaml'));
    expect(other.find(({ path }) => path === 'role')?.effect).to.equal('restart');
    expect(effectOf('a_key_that_the_schema_does_not_describe', 'route')).to.equal('restart');
    expect(effectOf('targets_of_something_else', 'route')).to.equal('restart');
  });

  it('count with a reload where the agent can take them, and nowhere else', () => {
    const restart = (role: 'route' | 'target', paths: readonly string[]) =>
      paths.filter((path) => effectOf(path, role) === 'restart');
    const both = ['role', 'host', 'outside.interface', 'cluster.mtu', 'admin.socket'];
    const hot = ['dvipas[x]', 'coupling.key', 'coupling.dead_after_ms', 'log.file', 'log.level'];
    const route = ['charon.vici', 'connection_table.entries', 'trusted_link', 'targets[x].address'];
    const hotRoute = [
      'targets[x]',
      'dvipas[x].rules',
      'dvipas[x].weights.target1',
      'dvipas[x].services[tcp 80]',
    ];
    hotRoute.push('lifesize.percentage', 'verification.per_second', 'stamping', 'keys_export.file');
    const target = ['router.address', 'tun.name'];
    expect(restart('route', [...both, ...route, ...hot, ...hotRoute])).to.deep.equal([...both, ...route]);
    expect(restart('target', [...both, ...target, ...hot, 'source_ports.manage'])).to.deep.equal([
      ...both,
      ...target,
    ]);
  });

  it('are none if and only if the configurations are equal, and the way back has them the other way round', () => {
    assert(
      property(configs, configs, (before, after) => {
        const there = configChanges(before, after);
        const back = configChanges(after, before);
        const isEqual = JSON.stringify(before) === JSON.stringify(after);
        expect(there.length === 0).to.equal(isEqual);
        const turned = back.map(({ path, from, to, effect }) => ({ path, from: to, to: from, effect }));
        const byPath = (changes: typeof there) => changes.toSorted((a, b) => (a.path < b.path ? -1 : 1));
        expect(byPath(turned)).to.deep.equal(byPath(there));
      }),
    );
  });
});
