import { expect } from 'chai';
import { derivedRows } from './derived.ts';

const pipeline = {
  route_in_small_run40_v256_ns: 500,
  route_in_large_run40_v256_ns: 900,
  route_in_small_run1_v256_ns: 700,
  route_in_large_run1_v256_ns: 2700,
};
const roles = { 'routing.40.1440 ns_per_packet': 1000, 'routing.1.1440 ns_per_packet': 4000 };

describe('derived bench rows', () => {
  it('take the larger share for memory', () => {
    const { memory } = derivedRows({ memory: { 'memory.sa': 1024, 'memory.connection': 120 } });
    expect(memory?.value).to.equal(1.25);
  });

  it('add what many SAs cost in memory to what a packet costs with one, and take the worse way', () => {
    expect(derivedRows({ pipeline, roles })['scale']?.value).to.equal(1.5);
  });

  it('are left out where a bench did not run', () => {
    expect(derivedRows({ pipeline })).to.deep.equal({});
  });
});
