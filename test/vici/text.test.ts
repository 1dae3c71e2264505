import { expect } from 'chai';
import * as fc from 'fast-check';
import { type ViciInput, ViciMessage } from '../../src/vici/message.ts';
import { formatPretty, formatRaw } from '../../src/vici/text.ts';
import { parsePretty } from '../../src/vici/text-parse.ts';
import { expectThrows } from '../support/vici.ts';

/** Printable ASCII of every kind that the format gives a meaning to. */
const value = fc.string({ unit: fc.constantFrom('a', ' ', '{', '}', '[', ']', '=', '.', '0') });
const name = fc
  .string({ unit: fc.constantFrom('a', 'b', '-', '{', '}', '[', ']', '='), minLength: 1 })
  .filter((text) => !text.includes(' '));
const { section } = fc.letrec<{ section: ViciMessage }>((tie) => ({
  section: fc
    .array(fc.tuple(name, fc.oneof({ maxDepth: 3 }, value, fc.array(value), tie('section'))), {
      maxLength: 4,
    })
    .map((entries) => ViciMessage.of(entries as [string, ViciInput][])),
}));

describe('vici text', () => {
  const message = ViciMessage.of({
    up: true,
    dvipa: { 'local-ts': ['10.1.0.0/16', '10.2.0.0/16'], empty: [], 'remote-id': 'C=CH, O=x', none: {} },
    last: '',
  });

  it('vici text of a message is one line in raw format', () => {
    expect(formatRaw(message, 'list-sa event')).to.equal(
      'list-sa event {up=yes dvipa {local-ts=[10.1.0.0/16 10.2.0.0/16] empty=[] remote-id=C=CH, O=x none {}} last=}\n',
    );
  });

  it('vici text of a message is indented in pretty format', () => {
    const lines = ['reply {', '  up = yes', '  dvipa {', '    local-ts = [', '      10.1.0.0/16'];
    expect(formatPretty(message, 'reply').split('\n').slice(0, 5)).to.deep.equal(lines);
    expect(formatPretty(message, 'reply').split('\n').slice(-4)).to.deep.equal(['  }', '  last = ', '}', '']);
  });

  it('vici text is made of plain objects too', () => {
    const plain = { up: 'yes', dvipa: { ts: ['a', 'b'] } };
    expect(formatRaw(plain, 'x')).to.equal('x {up=yes dvipa {ts=[a b]}}\n');
  });

  it('vici text has no byte that a terminal would obey, neither in values nor in names', () => {
    const hostile = ViciMessage.of([
      ['k\u001b[2J\u00e9', Buffer.from('a\u001b[31m')],
      ['list', [Buffer.from('\r\n'), Buffer.from('é')]],
    ]);
    expect(formatRaw(hostile, 'x')).to.equal('x {k?[2J?=0x611b5b33316d list=[0x0d0a 0xc3a9]}\n');
  });

  it('vici text in pretty format is read back as it was, whatever brackets the values have', () => {
    fc.assert(
      fc.property(section, (one) => {
        const text = formatPretty(one, 'one event') + formatPretty(message, 'reply');
        const [first, second, ...more] = parsePretty(text);
        expect(first?.label).to.equal('one event');
        expect(first?.message.toJSON()).to.deep.equal(one.toJSON());
        expect(second?.message.toJSON()).to.deep.equal(message.toJSON());
        expect(more).to.deep.equal([]);
      }),
    );
  });

  it('vici text that is not in pretty format is refused with its line', () => {
    const refused = (text: string) => expectThrows('malformed', () => parsePretty(text), text).message;
    expect(refused('reply {\n  a = b\n')).to.match(/^line 3: /);
    expect(refused('reply {\n  a\n}\n')).to.match(/^line 2: expected key = value/);
    expect(refused('reply {\n    a = b\n}\n')).to.match(/^line 2: expected an indentation of 2/);
    expect(refused('reply {\n  a = [\n    b\n  }\n}\n')).to.match(/^line 4: /);
    expect(refused('reply\n')).to.match(/^line 1: expected a label/);
    expect(refused('reply {\n}')).to.match(/^line 2: expected a line feed/);
  });

  it('vici text that nests deeper than a message may is refused, and arbitrary text does no more', () => {
    const deep = Array.from({ length: 40 }, (_, level) => `${'  '.repeat(level)}s {\n`).join('');
    expectThrows('too-big', () => parsePretty(deep));
    const unit = fc.constantFrom('  ', 'a', ' = ', ' {', '}', ' = [', ']', '\n');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
        try {
          parsePretty(text);
        } catch (error) {
          expect((error as { code?: string }).code).to.be.oneOf(['malformed', 'too-big']);
        }
      }),
    );
  });
});
