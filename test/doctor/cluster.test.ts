import { expect } from 'chai';
import { CHECKS } from '../../src/doctor/checks.ts';
import { type CredentialFacts, judgeCredentials } from '../../src/doctor/judge/certificates.ts';
import { type CharonFacts, judgeCharon } from '../../src/doctor/judge/charon.ts';
import { type ClusterFacts, type CouplingFacts, judgeCluster } from '../../src/doctor/judge/cluster.ts';
import { renderFindings } from '../../src/doctor/view.ts';
import { PLAIN } from '../../src/observe/views/style.ts';
import { faults, findingOf, statusOf } from './findings.ts';

const DAY = 86_400_000;

describe('doctor: ports and coupling', () => {
  const port = { id: 'port-link', protocol: 'udp', address: '198.51.100.11', port: 4754 } as const;
  const cluster = (change: Partial<ClusterFacts>): ClusterFacts => ({
    role: 'target',
    couplingPort: 4754,
    ports: [],
    others: [],
    ...change,
  });
  const reached = (reach: CouplingFacts['reach'], role: 'route' | 'target' = 'target') =>
    judgeCluster(cluster({ role, others: [{ host: 'router1', address: '198.51.100.1', reach }] }));

  it('are in order where ports are free, or the agent has them', () => {
    const ports = [
      { ...port, state: { state: 'free' } as const },
      { ...port, state: undefined },
    ];
    expect(faults(judgeCluster(cluster({ ports })))).to.deep.equal([]);
  });

  for (const [code, words] of [
    ['EADDRINUSE', 'taken by socat (pid 7)'],
    ['EADDRNOTAVAIL', 'does not have the address'],
    ['EACCES', 'EACCES'],
  ] as const) {
    it(`fail where a port is refused with ${code}`, () => {
      const state = { state: 'refused', code, owner: 'socat (pid 7)' } as const;
      const finding = findingOf(judgeCluster(cluster({ ports: [{ ...port, state }] })), 'port-link');
      expect(finding.status).to.equal('fail');
      expect(finding.found).to.contain(words);
    });
  }

  it('are judged by the agent that runs', () => {
    expect(faults(reached({ by: 'agent', state: 'up' }))).to.deep.equal([]);
    expect(faults(reached({ by: 'agent', state: 'snapshot' }))).to.deep.equal(['coupling warn']);
    const connecting = (lastHeardMs?: number) => reached({ by: 'agent', state: 'connecting', lastHeardMs });
    expect(faults(connecting(1000))).to.deep.equal(['coupling warn']);
    expect(faults(connecting(5000))).to.deep.equal(['coupling fail']);
    expect(findingOf(connecting(), 'coupling').found).to.equal('not connected; last heard: never');
    const down = reached({ by: 'agent', state: 'down', lastHeardMs: 5000 });
    expect(findingOf(down, 'coupling').found).to.equal('not connected; last heard: 5 s ago');
    expect(findingOf(down, 'coupling').remedy).to.contain('tcp 198.51.100.1:4754');
    const seen = findingOf(reached({ by: 'agent', state: 'down' }, 'route'), 'coupling');
    expect(seen.remedy).to.equal('run dvipa doctor on that host');
  });

  for (const [step, words] of [
    ['connect', 'no connection'],
    ['handshake', 'no TLS session'],
    ['identity', 'is not the one'],
    ['refused', 'refused ours'],
  ] as const) {
    it(`fail at the step ${step} of a connection of our own`, () => {
      const finding = findingOf(reached({ by: 'us', step, reason: 'because' }), 'coupling');
      expect(finding.status).to.equal('fail');
      expect(finding.found).to.contain(words).and.contain('because');
    });
  }

  it('are not looked at where nobody can', () => {
    expect(statusOf(reached({ by: 'nobody', why: 'no agent' }), 'coupling')).to.deep.equal(['skipped']);
    expect(statusOf(reached({ by: 'us', step: 'done' }), 'coupling')).to.deep.equal(['ok']);
  });
});

describe('doctor: the certificates', () => {
  const now = Date.UTC(2026, 10, 26);
  const dates = { notBefore: now - DAY, notAfter: now + 365 * DAY };
  const certificate = {
    file: 'target1.pem',
    ...dates,
    identity: { role: 'target', host: 'target1' },
    isOfKey: true,
    isIssuedByCa: true,
  };
  const good: CredentialFacts = {
    now,
    role: 'target',
    host: 'target1',
    cas: [{ file: 'ca.pem', ...dates }],
    certificate,
    key: { file: 'target1.key', mode: 0o600, isOurs: true, isAgentsGroup: false },
    unreadable: [],
    isClockSynchronised: true,
  };
  const key = { file: 'target1.key', mode: 0o600, isOurs: true, isAgentsGroup: false };
  const cases: readonly [string, Partial<CredentialFacts>, string][] = [
    ['key-mode fail', { key: { ...key, mode: 0o644 } }, 'everybody may read it'],
    ['key-mode fail', { key: { ...key, isOurs: false } }, 'another user'],
    ['key-mode warn', { key: { ...key, mode: 0o640 } }, 'its group may read it'],
    ['certificate-key fail', { certificate: { ...certificate, isOfKey: false } }, 'another key'],
    ['certificate-key fail', { unreadable: [{ file: 'x', reason: 'ENOENT' }] }, 'ENOENT'],
    ['certificate-chain fail', { certificate: { ...certificate, isIssuedByCa: false } }, 'another CA'],
    [
      'certificate-name fail',
      { certificate: { ...certificate, identity: undefined } },
      'no host of a cluster',
    ],
    ['certificate-name fail', { host: 'target2' }, 'this is target2 in role target'],
    ['certificate-name fail', { role: 'route' }, 'in role route'],
    ['certificate-dates fail', { certificate: { ...certificate, notAfter: now } }, 'expired on 2026-11-26'],
    [
      'certificate-dates fail',
      { certificate: { ...certificate, notBefore: now + DAY } },
      'valid from 2026-11-27',
    ],
    ['certificate-dates fail', { cas: [{ file: 'ca.pem', ...dates, notAfter: now - 1 }] }, 'expired'],
    ['certificate-dates warn', { certificate: { ...certificate, notAfter: now + 30 * DAY - 1 } }, '29 days'],
    ['clock warn', { isClockSynchronised: false }, 'not set by a time server'],
  ];

  it('are in order where all fit, for 30 days at least', () => {
    expect(faults(judgeCredentials(good))).to.deep.equal([]);
    const byGroup = { ...key, mode: 0o640, isAgentsGroup: true };
    expect(faults(judgeCredentials({ ...good, key: byGroup }))).to.deep.equal([]);
    const month = { ...certificate, notAfter: now + 30 * DAY };
    expect(faults(judgeCredentials({ ...good, certificate: month }))).to.deep.equal([]);
  });

  for (const [fault, change, words] of cases) {
    it(`give ${fault}: ${words}`, () => {
      const findings = judgeCredentials({ ...good, ...change });
      expect(faults(findings)).to.deep.equal([fault]);
      const { found, remedy } = findingOf(findings, fault.split(' ')[0] as 'clock');
      expect(found).to.contain(words);
      expect(remedy).to.be.a('string');
    });
  }

  it('that are missing leave the rest to be looked at', () => {
    const facts = { ...good, certificate: undefined, key: undefined, isClockSynchronised: undefined };
    expect(faults(judgeCredentials(facts))).to.deep.equal([]);
    expect(statusOf(judgeCredentials(facts), 'key-mode')).to.deep.equal(['skipped']);
  });
});

describe('doctor: charon and its plugin', () => {
  const plugin = {
    version: '1.2.3',
    daemon: '5.9.8',
    delegates: undefined,
    dvipas: ['203.0.113.10'],
    endpoints: ['192.0.2.10'],
  };
  const facts = (change: Partial<typeof plugin> | { delegates: boolean } = {}): CharonFacts => ({
    version: '1.2.3',
    vici: { socket: 'v', answer: { is: { version: '5.9.8' } } },
    plugin: { socket: 'p', answer: { is: { ...plugin, ...change } } },
    dvipas: ['203.0.113.10'],
    endpoints: ['192.0.2.10', '203.0.113.10'],
  });

  it('are in order where both answer and know the configuration', () => {
    expect(faults(judgeCharon(facts()))).to.deep.equal([]);
  });

  it('fail where charon is down, and then nothing is held against the plugin', () => {
    const vici = { socket: 'v', answer: { unreachable: 'ENOENT' } };
    const down = { ...facts(), vici, plugin: { socket: 'p', answer: { unreachable: 'ENOENT' } } };
    expect(faults(judgeCharon(down))).to.deep.equal(['charon fail']);
  });

  it('fail where charon runs without the plugin', () => {
    const findings = judgeCharon({ ...facts(), plugin: { socket: 'p', answer: { unreachable: 'ENOENT' } } });
    expect(faults(findings)).to.deep.equal(['plugin fail']);
    expect(statusOf(findings, 'plugin-addresses')).to.deep.equal(['skipped']);
  });

  it('fail where plugin and agent, or plugin and charon, are of different versions', () => {
    expect(faults(judgeCharon(facts({ version: '1.2.2' })))).to.deep.equal(['plugin-version fail']);
    expect(faults(judgeCharon(facts({ daemon: '6.0.3' })))).to.deep.equal(['plugin-strongswan fail']);
  });

  it('fail for each address that the plugin does not know, and heed those that only it knows', () => {
    const none = judgeCharon(facts({ dvipas: [], endpoints: [] }));
    expect(none.filter(({ status }) => status === 'fail').map(({ about }) => about)).to.deep.equal([
      '203.0.113.10',
      '192.0.2.10',
    ]);
    expect(findingOf(none, 'plugin-addresses').remedy).to.contain('swanctl --reload-settings');
    const more = facts({ dvipas: [...plugin.dvipas, '203.0.113.11'] });
    expect(faults(judgeCharon(more))).to.deep.equal(['plugin-addresses warn']);
  });

  it('say whether the plugin delegates, if it says so', () => {
    const told = (change: object) => findingOf(judgeCharon(facts(change)), 'plugin-version').found;
    expect(told({})).to.not.contain('delegates');
    expect(told({ delegates: true })).to.contain('delegates: yes');
    expect(told({ delegates: false })).to.contain('delegates: no');
  });
});

describe('the view of findings', () => {
  it('has a line for each, its remedy below, and a sum', () => {
    const text = renderFindings(
      [
        { id: 'charon', status: 'ok', found: 'strongSwan 5.9.8' },
        { id: 'clock', status: 'fail', about: 'here', found: 'wrong\u001b[31m', remedy: 'set it' },
      ],
      PLAIN,
    );
    expect(text.split('\n')).to.deep.equal([
      'ok       charon               strongSwan 5.9.8',
      'fail     clock                here: wrong\\u001b[31m',
      '                              -> set it',
      '1 failed, 0 to heed, 1 in order, 0 not looked at',
      '',
    ]);
  });

  it('has room for the longest name of a check', () => {
    expect(Math.max(...Object.keys(CHECKS).map((id) => id.length))).to.be.below(21);
  });
});
