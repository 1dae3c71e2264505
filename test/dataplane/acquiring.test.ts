import { expect } from 'chai';
import { verdictOf } from '../../src/base/verdict.ts';
import { Acquiring } from '../../src/dataplane/acquiring.ts';
import type { OutboundPolicy } from '../../src/ipsec/sa.ts';
import { counted, outcomes } from '../support/dataplane-parts.ts';
import { reply } from '../support/inner-packets.ts';
import { policyFor, testSa } from '../support/test-sas.ts';
import { OutboundBench } from './outbound-bench.ts';

const SPI = 0xc100_0001;
const sa = testSa({ spi: SPI, direction: 'out' });
/** The policy that charon has while there is no SA: the SA's own one will be another, and goes before it. */
const TRAP: OutboundPolicy = { ...policyFor(sa), key: 'trap', group: 0, priority: 2_000_000, spi: undefined };

const setUp = () => {
  const bench = new OutboundBench();
  const asked: string[] = [];
  const parts = { isThere: true };
  const acquiring = new Acquiring({
    policyOf: (vector, i) => bench.sad.policyFor(vector, i),
    hasSa: (vector, i) => bench.outbound.hasSa(vector, i),
    ask: (policy) => {
      if (parts.isThere) asked.push(policy.key);
      return parts.isThere;
    },
    send: (vector, now) => bench.outbound.run(vector, now),
    drops: bench.drops,
  });
  bench.acquire = (vector, i, now) => acquiring.hold(vector, i, now);
  bench.sad.installPolicy(TRAP);
  /** What came for the SA, which is exclusive by then. */
  const comes = () => {
    const entry = bench.install(testSa({ spi: SPI, direction: 'out' }));
    acquiring.changed(bench.now);
    bench.grant(entry, 1, 64);
    return entry;
  };
  return { bench, acquiring, asked, comes, parts };
};

const text = (n: number) => reply({ data: `packet ${n}` });

describe('a policy that is only a trap', () => {
  it('its packets wait, charon is asked once, and they leave in order when the SA is there', () => {
    const { bench, asked, comes } = setUp();
    for (let n = 0; n < 3; n++) expect(outcomes(bench.run(text(n)))).deep.equal(['elsewhere']);
    expect(asked).deep.equal(['trap']);
    expect(bench.raw.take()).deep.equal([]);
    comes();
    expect(bench.raw.take()).length(3);
    expect(bench.outbound.sent.packets).equal(3);
    expect(counted(bench.drops)).deep.equal({});
  });

  it('they wait on while only the policy or only the SA is there', () => {
    const { bench, acquiring } = setUp();
    bench.run(text(1));
    const entry = bench.install(testSa({ spi: SPI, direction: 'out' }), { hasPolicy: false });
    acquiring.changed(bench.now);
    expect(bench.asked, 'no number is asked for').deep.equal([]);
    bench.sad.installPolicy(policyFor(entry.sa));
    acquiring.changed(bench.now);
    expect(bench.asked).deep.equal(['lease-request']);
  });

  it('changes that bring no SA do not make them wait longer', () => {
    const { bench, acquiring } = setUp();
    bench.run(text(1));
    bench.now += 3000;
    acquiring.changed(bench.now);
    acquiring.tick(1000 + 4000);
    expect(counted(bench.drops)).deep.equal({ 'queue-timeout': 1 });
  });

  it('without an SA they time out and are counted; charon is asked again once a second', () => {
    const { bench, acquiring, asked } = setUp();
    const ages = [0, 999, 1000, 1500, 2000];
    for (const age of ages) {
      bench.now = 1000 + age;
      bench.run(text(age));
    }
    expect(asked).length(3);
    acquiring.tick(1000 + 3999);
    expect(counted(bench.drops)).deep.equal({});
    acquiring.tick(1000 + 4000);
    expect(counted(bench.drops)).deep.equal({ 'queue-timeout': 1 });
    acquiring.tick(1000 + 6000);
    expect(counted(bench.drops)).deep.equal({ 'queue-timeout': 5 });
  });

  it('32 packets of a policy wait', () => {
    const { bench } = setUp();
    const results = Array.from({ length: 34 }, (_, n) => outcomes(bench.run(text(n)))[0]);
    expect(results.slice(31)).deep.equal(['elsewhere', 'queue-overflow', 'queue-overflow']);
  });

  it('if there is no routing host the next packet asks, and so does one of a new session', () => {
    const { bench, acquiring, asked, parts } = setUp();
    parts.isThere = false;
    bench.run(text(1));
    parts.isThere = true;
    bench.run(text(2));
    bench.run(text(3));
    expect(asked).length(1);
    acquiring.sessionOpened(bench.now);
    bench.run(text(4));
    expect(asked).length(2);
  });

  it('it asks again when the SA is gone', () => {
    const { bench, acquiring, asked, comes } = setUp();
    bench.run(text(1));
    const entry = comes();
    bench.now += 2000;
    bench.sad.removePolicy(policyFor(entry.sa).key);
    bench.remove(entry);
    acquiring.changed(bench.now);
    expect(outcomes(bench.run(text(2)))).deep.equal(['elsewhere']);
    expect(asked).length(2);
  });

  it('a policy whose SA is not here is no trap: no-sa', () => {
    const { bench, asked } = setUp();
    bench.sad.installPolicy(policyFor(sa));
    const vector = bench.run(text(1));
    expect(vector.verdict[0]).equal(verdictOf('no-sa'));
    expect(asked).deep.equal([]);
  });
});
