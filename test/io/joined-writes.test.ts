import { expect } from 'chai';
import * as fc from 'fast-check';
import { JoinedWrites } from '../../src/io/joined-writes.ts';

const KILOBYTE = 1024;

function collecting() {
  const writes: { readonly bytes: Buffer; readonly written: () => void }[] = [];
  const joined = new JoinedWrites((bytes, written) => writes.push({ bytes, written }));
  return { writes, joined };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('writes of one turn', () => {
  it('leave as one, in their order, when the turn is over', async () => {
    const { writes, joined } = collecting();
    for (const text of ['one ', 'two ', 'three']) joined.add(Buffer.from(text), () => {});
    expect([writes.length, joined.pendingBytes]).to.deep.equal([0, 13]);
    await turn();
    expect(writes.map(({ bytes }) => bytes.toString())).to.deep.equal(['one two three']);
    expect(joined.pendingBytes).to.equal(0);
  });

  it('are wiped after they were copied, and the copy when it was written', async () => {
    const { writes, joined } = collecting();
    const parts = ['secret', 'as well'].map((text) => Buffer.from(text));
    for (const part of parts) joined.add(part, () => part.fill(0));
    joined.flush();
    const [write] = writes;
    expect(parts.every((part) => part.every((byte) => byte === 0))).to.equal(true);
    expect(write?.bytes.toString()).to.equal('secretas well');
    write?.written();
    expect(write?.bytes.every((byte) => byte === 0)).to.equal(true);
    await turn();
    expect(writes).to.have.length(1);
  });

  it('are given up together', async () => {
    const { writes, joined } = collecting();
    let wiped = 0;
    for (let n = 0; n < 3; n++) joined.add(Buffer.alloc(8), () => wiped++);
    joined.discard();
    await turn();
    expect([wiped, writes.length, joined.pendingBytes]).to.deep.equal([3, 0, 0]);
  });

  it('keep every byte, each told as written once, and are no longer than 64 KB unless one alone is', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 90 * KILOBYTE }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(sizes, (lengths) => {
        const { writes, joined } = collecting();
        const told: number[] = [];
        lengths.forEach((length, n) => joined.add(Buffer.alloc(length, n + 1), () => told.push(n)));
        joined.flush();
        const all = Buffer.concat(writes.map(({ bytes }) => bytes));
        expect(all.equals(Buffer.concat(lengths.map((length, n) => Buffer.alloc(length, n + 1))))).to.equal(
          true,
        );
        for (const { bytes, written } of writes) {
          expect(bytes.length <= 64 * KILOBYTE || lengths.includes(bytes.length)).to.equal(true);
          written();
        }
        expect(told.toSorted((a, b) => a - b)).to.deep.equal([...lengths.keys()]);
      }),
      { numRuns: 50 },
    );
  });
});
