import { expect } from 'chai';
import { decodeMessage, encodeMessage, MAX_DEPTH, MAX_ELEMENTS } from '../../src/vici/codec.ts';
import { ViciMessage } from '../../src/vici/message.ts';
import { expectThrows } from '../support/vici.ts';

/** The encoding example of strongSwan's src/libcharon/plugins/vici/README.md, element by element. */
const README_EXAMPLE = Buffer.from(
  [
    '\x03\x04key1\x00\x06value1', // key1 = value1
    '\x01\x08section1', // section1 {
    '\x01\x0bsub-section', //   sub-section {
    '\x03\x04key2\x00\x06value2', //     key2 = value2
    '\x02', //   }
    '\x04\x05list1', //   list1 = [
    '\x05\x00\x05item1', //     item1
    '\x05\x00\x05item2', //     item2
    '\x06', //   ]
    '\x02', // }
  ].join(''),
  'latin1',
);
const README_MESSAGE = ViciMessage.of({
  key1: 'value1',
  section1: { 'sub-section': { key2: 'value2' }, list1: ['item1', 'item2'] },
});

const bytes = (text: string) => Buffer.from(text, 'latin1');

describe('vici codec', () => {
  it('vici codec decodes the example of the specification', () => {
    const message = decodeMessage(README_EXAMPLE);
    expect(message.text('key1')).to.equal('value1');
    const section = message.section('section1');
    expect(section?.section('sub-section')?.text('key2')).to.equal('value2');
    expect(section?.list('list1')).to.deep.equal(['item1', 'item2']);
    expect(message.entries.map(([key]) => key)).to.deep.equal(['key1', 'section1']);
  });

  it('vici codec encodes the example of the specification', () => {
    expect(encodeMessage(README_MESSAGE).toString('latin1')).to.equal(README_EXAMPLE.toString('latin1'));
  });

  it('vici codec takes a truncated message only where it ends at the top level', () => {
    for (let length = 0; length < README_EXAMPLE.length; length++) {
      const part = README_EXAMPLE.subarray(0, length);
      const isWhole = length === 0 || length === 14; // nothing, or key1 alone
      if (isWhole) decodeMessage(part);
      else expectThrows('malformed', () => decodeMessage(part), `first ${length} bytes`);
    }
  });

  for (const [what, text] of [
    ['section end without a section', '\x02'],
    ['one section end too many', '\x01\x01a\x02\x02'],
    ['list item outside of a list', '\x05\x00\x01x'],
    ['list end outside of a list', '\x06'],
    ['section in a list', '\x04\x01l\x01\x01s\x02\x06'],
    ['key in a list', '\x04\x01l\x03\x01k\x00\x01v\x06'],
    ['list in a list', '\x04\x01l\x04\x01m\x06\x06'],
    ['section end in a list', '\x01\x01s\x04\x01l\x02'],
    ['unknown element 0', '\x00'],
    ['unknown element 7', '\x07'],
    ['trailing byte', '\x03\x01k\x00\x01v\xff'],
    ['name longer than the rest', '\x03\x05key'],
    ['value longer than the rest', '\x03\x01k\xff\xffvalue'],
  ] as const) {
    it(`vici codec refuses a message with: ${what}`, () => {
      expectThrows('malformed', () => decodeMessage(bytes(text)));
    });
  }

  it('vici codec takes empty lists, sections, names and values', () => {
    const message = decodeMessage(bytes('\x04\x01l\x06\x01\x01s\x02\x03\x00\x00\x00'));
    expect(message.list('l')).to.deep.equal([]);
    expect(message.section('s')?.isEmpty).to.equal(true);
    expect(message.text('')).to.equal('');
  });

  it('vici codec refuses sections nested too deeply, on both ways', () => {
    const nested = (depth: number) => bytes('\x01\x01s'.repeat(depth) + '\x02'.repeat(depth));
    const deepest = decodeMessage(nested(MAX_DEPTH));
    expect(encodeMessage(deepest)).to.deep.equal(nested(MAX_DEPTH));
    expectThrows('too-big', () => decodeMessage(nested(MAX_DEPTH + 1)));
    expectThrows('too-big', () => encodeMessage(new ViciMessage().append('s', deepest)));
  });

  it('vici codec refuses more elements than a sane message has', () => {
    const items = Buffer.alloc(3 * MAX_ELEMENTS, '\x05\x00\x00', 'latin1');
    expectThrows('too-big', () => decodeMessage(Buffer.concat([bytes('\x04\x01l'), items, bytes('\x06')])));
  });

  it('vici codec refuses to encode names, values and messages over the limits of the wire', () => {
    const encode = (key: string, value: string) => () => encodeMessage(ViciMessage.of([[key, value]]));
    encode('k'.repeat(255), 'v'.repeat(65_535))();
    expectThrows('too-big', encode('k'.repeat(256), 'v'));
    expectThrows('too-big', encode('ü'.repeat(128), 'v'));
    expectThrows('too-big', encode('k', 'v'.repeat(65_536)));
    const nine = Array.from({ length: 9 }, (_, n) => [`k${n}`, 'v'.repeat(65_000)] as const);
    expectThrows('too-big', () => encodeMessage(ViciMessage.of(nine)));
  });
});

describe('vici message', () => {
  it('vici message treats names of object internals as any other key', () => {
    const keys = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const message = decodeMessage(
      encodeMessage(ViciMessage.of(keys.map((key) => [key, { polluted: 'yes' }]))),
    );
    expect(message.entries.map(([key]) => key)).to.deep.equal(keys);
    expect(message.section('__proto__')?.text('polluted')).to.equal('yes');
    expect(Object.keys(message.toJSON())).to.deep.equal(keys);
    expect(({} as Record<string, unknown>)['polluted']).to.equal(undefined);
    expect(new ViciMessage().get('constructor')).to.equal(undefined);
  });

  it('vici message keeps the order of keys, numbers among them', () => {
    const message = ViciMessage.of([
      ['b', '1'],
      ['10', '2'],
      ['9', '3'],
      ['a', '4'],
    ]);
    const order = decodeMessage(encodeMessage(message)).entries.map(([key]) => key);
    expect(order).to.deep.equal(['b', '10', '9', 'a']);
  });

  it('vici message keeps both of two equal keys, and finds the last', () => {
    const twice = bytes('\x03\x01k\x00\x011\x03\x01k\x00\x012');
    const message = decodeMessage(twice);
    expect(message.entries.length).to.equal(2);
    expect(message.text('k')).to.equal('2');
    expect(encodeMessage(message)).to.deep.equal(twice);
  });

  it('vici message gives undefined for a value of another kind', () => {
    const message = ViciMessage.of({ text: 'x', list: ['y'], section: { z: 1 } });
    expect(message.text('list') ?? message.text('section') ?? message.text('absent')).to.equal(undefined);
    expect(message.list('text') ?? message.list('section')).to.equal(undefined);
    expect(message.section('text') ?? message.section('list')).to.equal(undefined);
  });

  it('vici message is built from text, numbers, booleans, bytes, lists and sections; undefined is left out', () => {
    const message = ViciMessage.of({
      n: -1,
      big: 2n ** 64n,
      yes: true,
      no: false,
      none: undefined,
      raw: Uint8Array.of(0, 255),
      list: ['a', Uint8Array.of(98)],
      map: new Map([['k', 'v']]),
    });
    expect(message.toJSON()).to.deep.equal({
      n: '-1',
      big: '18446744073709551616',
      yes: 'yes',
      no: 'no',
      raw: '0x00ff',
      list: ['a', 'b'],
      map: { k: 'v' },
    });
    expectThrows('invalid', () => ViciMessage.of({ n: 0.5 }));
    expectThrows('invalid', () => ViciMessage.of({ n: 2 ** 53 }));
  });

  it('vici message carries connection names in UTF-8', () => {
    const message = decodeMessage(encodeMessage(ViciMessage.of({ büro: 'grün' })));
    expect(message.text('büro')).to.equal('grün');
  });
});
