import { expect } from 'chai';
import { KeptSas } from '../../src/ipsec/kept-sas.ts';
import type { SecurityAssociation } from '../../src/ipsec/sa.ts';
import { type TrafficSelector, trafficSelectorOf } from '../../src/ipsec/traffic-selector.ts';
import { policyFor, type SaTest, testSa } from '../support/test-sas.ts';

const SPI = 0xc000_0001;
const range = (from: string, to: string) => trafficSelectorOf({ from, to }) as TrafficSelector;

/** SAs of all kinds. */
const GIVEN: readonly SaTest[] = [
  { spi: SPI },
  { spi: SPI, direction: 'out' },
  { spi: SPI, suite: 'aes256-sha256', hasEsn: true, tfcBytes: 1000 },
  { spi: SPI, copy: { df: false, ecn: true, dscp: true } },
  { spi: SPI, dvipa: '2001:db8::10', clientInner: '2001:db8::1', client: '2001:db8::2' },
  { spi: SPI, selector: { protocol: 6, fromPort: 80, toPort: 443 } },
  { spi: SPI, lifetime: { bytes: { soft: 1, hard: 2 }, seconds: { soft: 3, hard: 4 } } },
];

describe('SAs that are kept', () => {
  it('say what they said, and have the same keys', () => {
    const kept = new KeptSas();
    for (const given of [...GIVEN, ...GIVEN]) {
      const sa: SecurityAssociation = { ...testSa(given), mode: given.hasEsn ? 'transport' : 'tunnel' };
      const same = kept.keep(sa);
      expect(same).to.deep.equal(sa);
      expect(same.encryption.key).to.equal(sa.encryption.key);
      expect(same.integrity?.key).to.equal(sa.integrity?.key);
    }
  });

  it('keep ranges and several selectors as they are', () => {
    const theirs = [range('10.0.0.0', '10.0.0.255'), range('10.1.0.1', '10.1.0.1')];
    const sa = { ...testSa({ spi: SPI }), sourceSelectors: theirs };
    expect(new KeptSas().keep(sa).sourceSelectors).to.deep.equal(theirs);
  });

  it('share what they say of our side, in either direction, and nothing that differs', () => {
    const kept = new KeptSas();
    const one = kept.keep(testSa({ spi: SPI }));
    const other = kept.keep(testSa({ spi: SPI + 1, direction: 'out', clientInner: '10.9.9.9' }));
    const third = kept.keep(testSa({ spi: SPI + 2, selector: { protocol: 6 } }));
    expect(other.sourceSelectors).to.equal(one.destinationSelectors);
    expect(other.copy).to.equal(one.copy);
    expect(third.destinationSelectors).to.not.deep.equal(one.destinationSelectors);
  });

  it("share the peer's selectors with an SA of the same peer, where they are equal", () => {
    const kept = new KeptSas();
    const one = kept.keep(testSa({ spi: SPI }));
    const back = kept.keep(testSa({ spi: SPI + 1, direction: 'out' }), one);
    const narrower = testSa({ spi: SPI + 2, direction: 'out', selector: { protocol: 6 } });
    expect(back.destinationSelectors).to.equal(one.sourceSelectors);
    expect(kept.keep(narrower, one)).to.deep.equal(narrower);
    const policy = policyFor(back, { spi: back.spi });
    expect(kept.policy(policy, back.destinationSelectors).destination).to.equal(back.destinationSelectors[0]);
    expect(kept.policy(policyFor(narrower, { spi: narrower.spi }), back.destinationSelectors)).to.deep.equal(
      policyFor(narrower, { spi: narrower.spi }),
    );
  });

  it('have their own parts where there are too many to share', () => {
    const kept = new KeptSas();
    for (let port = 1; port < 1000; port++) {
      const sa = testSa({ spi: SPI, selector: { protocol: 6, fromPort: port, toPort: port } });
      expect(kept.keep(sa)).to.deep.equal(sa);
    }
  });

  it('have policies that say what they said, trap or not', () => {
    const kept = new KeptSas();
    for (const given of GIVEN) {
      for (const spi of [undefined, testSa(given).spi]) {
        const policy = policyFor(testSa({ ...given, direction: 'out' }), { spi });
        expect(kept.policy(policy)).to.deep.equal(policy);
      }
    }
  });
});
