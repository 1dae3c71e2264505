import { expect } from 'chai';
import { missingPrivileges } from '../../src/cli/privileges.ts';

describe('privileges', () => {
  for (const [effective, want] of [
    ['000001ffffffffff', undefined],
    ['0000000000003000', undefined],
    ['0000000000001000', 'needs root, or the capabilities CAP_NET_RAW'],
    ['0000000000002000', 'needs root, or the capabilities CAP_NET_ADMIN'],
    ['0000000000000000', 'needs root, or the capabilities CAP_NET_ADMIN and CAP_NET_RAW'],
  ] as const) {
    it(`with CapEff ${effective} an agent ${want ?? 'may run'}`, () => {
      expect(missingPrivileges(`Name:\tnode\nCapPrm:\t0\nCapEff:\t${effective}\nCapBnd:\t0\n`)).to.equal(
        want,
      );
    });
  }

  it('without a CapEff line an agent needs root', () => {
    expect(missingPrivileges('Name:\tnode\n')).to.match(/^needs root/);
  });
});
