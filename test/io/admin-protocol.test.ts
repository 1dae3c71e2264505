import { expect } from 'chai';
import * as fc from 'fast-check';
import { encodeLine, LineSplitter, parseAnswer, parseRequest } from '../../src/io/admin-protocol.ts';

describe('admin protocol', () => {
  it('the line splitter gives the same lines however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' })),
        fc.array(fc.integer({ min: 1, max: 9 })),
        (texts, cuts) => {
          const lines = texts.map((text) => text.replaceAll('\n', ' '));
          const stream = Buffer.from(lines.map((line) => `${line}\n`).join(''));
          const splitter = new LineSplitter(1_000_000);
          const got: string[] = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const end = at + (cuts[i % cuts.length] ?? stream.length);
            got.push(...splitter.push(stream.subarray(at, end)));
            at = end;
          }
          expect(got).to.deep.equal(lines);
        },
      ),
      { numRuns: 300, seed: 4 },
    );
  });

  it('the line splitter takes a line of exactly its cap and gives up one byte above, for good', () => {
    const exact = new LineSplitter(4);
    expect(exact.push(Buffer.from('abcd\nef'))).to.deep.equal(['abcd']);
    expect(exact.isOverflown).to.equal(false);
    const above = new LineSplitter(4);
    expect(above.push(Buffer.from('ok\nabcde\nno\n'))).to.deep.equal(['ok']);
    expect(above.isOverflown).to.equal(true);
    expect(above.push(Buffer.from('no\n'))).to.deep.equal([]);
    const slowly = new LineSplitter(4);
    for (const byte of 'abcde') slowly.push(Buffer.from(byte));
    expect(slowly.isOverflown).to.equal(true);
  });

  it('a request is a command with arguments, and nothing else is one', () => {
    expect(parseRequest('{"command":"sas"}')).to.deep.equal({ command: 'sas', args: {} });
    expect(parseRequest('{"command":"sas","args":{"dvipa":"x"},"more":1}')).to.deep.equal({
      command: 'sas',
      args: { dvipa: 'x' },
    });
    for (const line of ['', '{', '[]', '1', 'null', '{}', '{"command":1}', '{"command":"a","args":1}']) {
      expect(parseRequest(line), line).to.equal(undefined);
    }
    expect(parseRequest(JSON.stringify({ command: 'x'.repeat(65) }))).to.equal(undefined);
  });

  it('an answer survives its line, and nothing else is one', () => {
    for (const answer of [
      { ok: true, answer: null },
      { ok: true, answer: [1] },
      { ok: false, error: 'no\nway' },
    ] as const) {
      const line = encodeLine(answer);
      expect(line.indexOf('\n')).to.equal(line.length - 1);
      expect(parseAnswer(line)).to.deep.equal(answer);
    }
    for (const line of [
      '',
      '{}',
      '{"ok":true}',
      '{"ok":false}',
      '{"ok":1,"answer":1}',
      '{"ok":false,"error":1}',
    ]) {
      expect(parseAnswer(line), line).to.equal(undefined);
    }
  });

  it('whatever a line is, parsing it never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (line) => {
        parseRequest(line);
        parseAnswer(line);
      }),
      { numRuns: 1000, seed: 5 },
    );
  });
});
