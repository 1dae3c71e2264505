import { expect } from 'chai';
import type { CouplingError } from '../../src/coupling/errors.ts';
import { checkPeer, identityName, isHostName, parseIdentity } from '../../src/io/peer-identity.ts';
import { codeOf, handshakeViolation } from '../../src/io/tls-options.ts';

describe('peer identity', () => {
  it('reads what it writes', () => {
    for (const host of ['target1', 'a', 'target.of.cluster-1', 'route.target']) {
      for (const role of ['route', 'target'] as const) {
        expect(parseIdentity(`DNS:${identityName({ role, host })}`)).to.deep.equal({ role, host });
      }
    }
  });

  it('reads it among other names', () => {
    expect(parseIdentity('DNS:www.example, DNS:t1.target.dvipa.invalid, IP Address:192.0.2.1')).to.deep.equal(
      {
        role: 'target',
        host: 't1',
      },
    );
  });

  const none: [string, string | undefined][] = [
    ['no names', undefined],
    ['an empty list', ''],
    ['two identities', 'DNS:a.target.dvipa.invalid, DNS:b.target.dvipa.invalid'],
    ['the same host in both roles', 'DNS:a.target.dvipa.invalid, DNS:a.route.dvipa.invalid'],
    ['an identity in a quoted name', 'DNS:"a, DNS:b.target.dvipa.invalid"'],
    ['another kind of name', 'URI:a.target.dvipa.invalid'],
    ['no host', 'DNS:target.dvipa.invalid'],
    ['no role', 'DNS:a.dvipa.invalid'],
    ['an unknown role', 'DNS:a.master.dvipa.invalid'],
    ['a wildcard', 'DNS:*.target.dvipa.invalid'],
    ['upper case', 'DNS:A.target.DVIPA.invalid'],
    ['a name below', 'DNS:a.target.dvipa.invalid.example'],
    ['an empty label', 'DNS:a..target.dvipa.invalid'],
    ['a line break', 'DNS:a\n.target.dvipa.invalid'],
  ];
  for (const [what, names] of none) {
    it(`finds none in ${what}`, () => {
      expect(parseIdentity(names)).to.equal(undefined);
    });
  }

  it('refuses a role before it looks at the host', () => {
    const code = (names: string) => {
      try {
        return checkPeer(names, 'target', (host) => host === 'a').host;
      } catch (error) {
        return (error as CouplingError).code;
      }
    };
    expect(code('DNS:a.target.dvipa.invalid')).to.equal('a');
    expect(code('DNS:a.route.dvipa.invalid')).to.equal('coupling-role');
    expect(code('DNS:b.target.dvipa.invalid')).to.equal('coupling-certificate');
    expect(code('DNS:a.example')).to.equal('coupling-certificate');
  });

  it('knows host names', () => {
    expect(['target1', 'a.b', 'x'.repeat(63)].map(isHostName)).to.deep.equal([true, true, true]);
    const wrong = [
      '',
      'Target1',
      'a_b',
      '-a',
      'a-',
      'a.',
      '.a',
      '../a',
      'a b',
      'x'.repeat(64),
      'a.'.repeat(100) + 'a',
    ];
    expect(wrong.filter(isHostName)).to.deep.equal([]);
  });
});

describe('handshake failures', () => {
  const cases: [string | undefined, string | undefined][] = [
    ['SELF_SIGNED_CERT_IN_CHAIN', 'coupling-certificate'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'coupling-certificate'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'coupling-certificate'],
    ['CERT_HAS_EXPIRED', 'coupling-certificate'],
    ['INVALID_PURPOSE', 'coupling-certificate'],
    ['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', 'coupling-certificate'],
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'coupling-tls'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'coupling-tls'],
    [undefined, 'coupling-tls'],
    ['ECONNRESET', undefined],
    ['ECONNREFUSED', undefined],
    ['EPIPE', undefined],
  ];
  for (const [code, reason] of cases) {
    it(`${code ?? 'a failure without code'} is ${reason ?? 'not counted'}`, () => {
      expect(handshakeViolation(code)).to.equal(reason);
    });
  }

  it('codeOf takes any value', () => {
    expect([undefined, null, 'x', {}, { code: 3 }, { code: 'E' }].map(codeOf)).to.deep.equal([
      ...Array.from({ length: 5 }, () => undefined),
      'E',
    ]);
  });
});
