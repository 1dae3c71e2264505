import { expect } from 'chai';
import { RoutingSas } from '../../src/agents/routing/routing-sas.ts';
import type { DvipaService } from '../../src/agents/routing/dvipa-service.ts';
import { InboundFilter } from '../../src/dataplane/inbound-filter.ts';
import { DVIPA, ENDPOINT, addr } from '../support/inner-packets.ts';
import { type SaTest, testSa } from '../support/test-sas.ts';
import { CRYPTOS } from '../support/packet-cryptos.ts';

const service: DvipaService = {
  address: addr(DVIPA),
  filterMode: 'bypass',
  filter: new InboundFilter([]),
  distributesClear: false,
  returnVia: 'direct',
  targets: new Set(['target1']),
  distribution: {},
  record: {
    address: DVIPA,
    endpoints: [ENDPOINT],
    filterMode: 'bypass',
    rules: [],
    clearText: 'reject',
    returnVia: 'direct',
    router: '198.51.100.1',
  },
};

function make() {
  const sas = new RoutingSas({ outside: 1500, cluster: 1500 }, true, CRYPTOS);
  const add = (given: SaTest) => {
    const sa = testSa(given);
    const numbering = { origin: 'new', epoch: 1, now: 0 } as const;
    return sas.add({
      sa,
      pluginId: sa.id,
      service,
      numbering,
      lifesize: { percentage: 10 },
      createdAt: 0,
      now: 0,
    });
  };
  return { sas, add };
}

describe("the routing host's SAs", () => {
  it('know the SAs of a group in both directions, the oldest first, and forget an empty one', () => {
    const { sas, add } = make();
    const [old, out, young] = [
      add({ spi: 0x1001 }),
      add({ spi: 0x2001, direction: 'out' }),
      add({ spi: 0x1002 }),
    ];
    add({ spi: 0x1003, reqid: 2 });
    expect([...sas.group(1)]).to.deep.equal([old, out, young]);
    sas.remove(old.sa.id);
    sas.remove(out.sa.id);
    expect([...sas.group(1)]).to.deep.equal([young]);
    sas.remove(young.sa.id);
    expect(sas.group(1).size).to.equal(0);
    expect(sas.group(2).size).to.equal(1);
  });

  it('keep an SA in its group when its outer addresses change', () => {
    const { sas, add } = make();
    const entry = add({ spi: 0x2001, direction: 'out' });
    Object.assign(entry, { sa: { ...entry.sa, outer: { ...entry.sa.outer, destinationPort: 31_000 } } });
    sas.remove(entry.sa.id);
    expect(sas.group(1).size).to.equal(0);
  });
});
