import { expect } from 'chai';
import { type FirewallFacts, judgeFirewall } from '../../src/doctor/judge/firewall.ts';
import { type GuardFacts, type GuardShape, judgeGuard } from '../../src/doctor/judge/guard.ts';
import { routerGuardRules } from '../../src/io/router-guard.ts';
import { shapeOfBody } from '../../src/io/guard-shape.ts';
import { targetGuardRules } from '../../src/io/target-guard.ts';
import { faults, findingOf } from './findings.ts';

/** A rule as nft prints it in JSON. */
const dport = (protocol: string, port: unknown) => ({
  match: { op: '==', left: { payload: { protocol, field: 'dport' } }, right: port },
});
const meta = (key: string, right: unknown, op = '==') => ({ match: { op, left: { meta: { key } }, right } });
const isNew = { match: { op: 'in', left: { ct: { key: 'state' } }, right: 'new' } };
const established = {
  match: { op: 'in', left: { ct: { key: 'state' } }, right: ['established', 'related'] },
};
const fromSomebody = {
  match: { op: '==', left: { payload: { protocol: 'ip', field: 'saddr' } }, right: '192.0.2.1' },
};
const accept = { accept: null };
const drop = { drop: null };
const counter = { counter: { packets: 0, bytes: 0 } };

describe('doctor: the guard', () => {
  const expected: GuardShape = {
    chains: { input: { hook: 'input', rules: 3 }, leaving: { rules: 2 } },
    sets: { dvipas4: ['203.0.113.10'] },
  };
  const guard: GuardFacts = {
    table: 'dvipa_guard',
    expected,
    present: expected,
    hasPolicyRules: true,
    isAgentRunning: true,
    addressesUp: ['203.0.113.10'],
    restart: 'start the agent',
  };

  it('is in order where table and policy rules are as the agent made them', () => {
    expect(faults(judgeGuard(guard))).to.deep.equal([]);
  });

  it('that is missing fails while the agent runs, and while an address is configured without one', () => {
    expect(faults(judgeGuard({ ...guard, present: undefined }))).to.deep.equal(['guard fail']);
    const killed = { ...guard, present: undefined, isAgentRunning: false };
    expect(findingOf(judgeGuard(killed), 'guard').found).to.contain('packets pass in clear');
    const stopped = { ...killed, addressesUp: [], hasPolicyRules: false };
    expect(faults(judgeGuard(stopped))).to.deep.equal(['guard warn']);
  });

  it('whose policy rules are missing fails', () => {
    expect(faults(judgeGuard({ ...guard, hasPolicyRules: false }))).to.deep.equal(['guard-routing fail']);
  });

  for (const [what, present] of [
    [
      'has 2 rules, not 3',
      { ...expected, chains: { ...expected.chains, input: { hook: 'input', rules: 2 } } },
    ],
    [
      'hangs on output, not on input',
      { ...expected, chains: { ...expected.chains, input: { hook: 'output', rules: 3 } } },
    ],
    ['chain leaving is missing', { ...expected, chains: { input: { hook: 'input', rules: 3 } } }],
    ['set dvipas4 has nothing, not 203.0.113.10', { ...expected, sets: { dvipas4: [] } }],
    ['set dvipas4 is missing', { ...expected, sets: {} }],
  ] as const) {
    it(`that somebody changed fails: ${what}`, () => {
      const finding = findingOf(judgeGuard({ ...guard, present }), 'guard');
      expect(finding.status).to.equal('fail');
      expect(finding.found).to.contain(what);
    });
  }

  it('of either role has a shape with all its chains, and its addresses', () => {
    const place = { interface: 'eth1', address: '198.51.100.1', port: 4754 };
    const router = shapeOfBody(
      routerGuardRules(['203.0.113.10', '2001:db8::10'], ['192.0.2.10'], 7, { trustedLink: place }),
    );
    expect(Object.keys(router.chains)).to.have.members([
      'early',
      'input',
      'runs',
      'forward',
      'leaving',
      'output',
      'postrouting',
    ]);
    expect(router.chains['postrouting']).to.deep.equal({ hook: 'postrouting', rules: 1 });
    expect(router.sets['esp_here4']).to.deep.equal(['192.0.2.10', '203.0.113.10']);
    expect(router.sets['dvipas6']).to.deep.equal(['2001:db8::10']);
    const target = shapeOfBody(targetGuardRules(['203.0.113.10'], 'dvipa0', 7));
    expect(target.chains['forward']).to.deep.equal({ hook: 'forward', rules: 6 });
    expect(target.sets['clear_from4']).to.deep.equal([]);
  });
});

describe('doctor: the firewall', () => {
  const facts = (role: 'route' | 'target', ...chains: object[]): FirewallFacts => ({
    role,
    outside: 'eth0',
    cluster: 'eth1',
    couplingPort: 4754,
    linkPort: 4754,
    ruleset: {
      chains: chains.map((chain) => ({
        family: 'inet',
        table: 'filter',
        name: 'input',
        hook: 'input',
        policy: 'accept',
        rules: [],
        ...chain,
      })),
    },
  });
  const blockedAt = (role: 'route' | 'target', ...chains: object[]) =>
    judgeFirewall(facts(role, ...chains)).flatMap(({ status, about }) => (status === 'fail' ? [about] : []));

  it('is in order without rules, and with rules about other things', () => {
    expect(blockedAt('route')).to.deep.equal([]);
    const rules = [
      [dport('tcp', 22), drop],
      [meta('iifname', 'eth2'), drop],
      [fromSomebody, drop],
      [{ limit: { rate: 10, per: 'second' } }, drop],
    ];
    expect(blockedAt('route', { rules })).to.deep.equal([]);
    expect(blockedAt('target', { rules })).to.deep.equal([]);
  });

  for (const [name, role, rule] of [
    ['UDP 500 in', 'route', [dport('udp', { set: [{ range: [400, 600] }] }), counter, drop]],
    ['UDP 4500 in', 'route', [dport('udp', 4500), { reject: null }]],
    ['coupling in', 'route', [meta('iifname', 'eth1'), dport('tcp', { set: [80, 4754] }), isNew, drop]],
    ['link in', 'target', [dport('th', 4754), meta('l4proto', 17), drop]],
  ] as const) {
    it(`that drops ${name} on a ${role} host fails, and is named with its remedy`, () => {
      const [finding, ...others] = judgeFirewall(facts(role, { rules: [[established, accept], rule] }));
      expect(others).to.deep.equal([]);
      expect(finding).to.include({
        id: 'firewall',
        status: 'fail',
        about: name,
        found: 'dropped by rule 2 of chain input of table inet filter',
      });
      expect(finding?.remedy).to.contain('accept it before that rule');
    });
  }

  it('that drops by policy fails for all that no rule accepts, whatever it accepts of what was let in before', () => {
    const rules = [
      [established, accept],
      [dport('udp', 500), accept],
    ];
    expect(blockedAt('route', { policy: 'drop', rules })).to.deep.equal(['UDP 4500 in', 'coupling in']);
    expect(blockedAt('target', { policy: 'drop', rules })).to.deep.equal(['link in']);
  });

  it('that accepts under a condition which nobody here can judge is believed', () => {
    const rules = [[fromSomebody, accept]];
    expect(blockedAt('route', { policy: 'drop', rules })).to.deep.equal([]);
  });

  it('is followed through its jumps, and back where they return', () => {
    const drops = { name: 'drops', hook: undefined, rules: [[dport('udp', 500), drop]] };
    const returns = {
      name: 'drops',
      hook: undefined,
      rules: [[dport('udp', 500), { return: null }], [drop]],
    };
    const jump = { rules: [[{ jump: { target: 'drops' } }], [dport('udp', 500), accept]] };
    expect(blockedAt('route', jump, drops)).to.deep.equal(['UDP 500 in']);
    expect(blockedAt('route', jump, returns)).to.deep.equal(['UDP 4500 in', 'coupling in']);
    const loop = { name: 'drops', hook: undefined, rules: [[{ jump: { target: 'drops' } }]] };
    expect(blockedAt('route', jump, loop)).to.deep.equal([]);
  });

  it('drops ESP of a routing host in the ingress hook only: the capture sees it before the others', () => {
    const rules = [[meta('l4proto', 'esp'), drop]];
    expect(blockedAt('route', { rules })).to.deep.equal([]);
    expect(blockedAt('route', { hook: 'ingress', rules })).to.deep.equal(['ESP in']);
    expect(blockedAt('target', { hook: 'output', rules })).to.deep.equal(['ESP out']);
  });

  it('that cannot be read is not called harmless', () => {
    const [finding] = judgeFirewall({ ...facts('route'), ruleset: { unknown: 'EPERM' } });
    expect(finding).to.include({ status: 'skipped', found: 'EPERM' });
  });
});
