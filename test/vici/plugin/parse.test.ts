import { inspect } from 'node:util';
import { expect } from 'chai';
import { decodeMessage, encodeMessage } from '../../../src/vici/codec.ts';
import { type ViciFields, ViciMessage } from '../../../src/vici/message.ts';
import {
  parseListReply,
  parsePluginEvent,
  parsePolicy,
  parseSa,
  parseSaUpdate,
} from '../../../src/vici/plugin/parse.ts';
import { PLUGIN_INSTANCE, policySection, saSection, selectorSection } from '../../support/fake-plugin.ts';
import { expectThrows } from '../../support/vici.ts';

const wire = (fields: ViciFields) => decodeMessage(encodeMessage(ViciMessage.of(fields)));
const ts = (override: ViciFields) => ({ 'dst-ts': { 0: selectorSection('203.0.113.10', override) } });

describe('vici plugin parser', () => {
  it('vici plugin parser reads an SA with its keys', () => {
    const { encryptionKey, integrityKey, ...sa } = parseSa(
      wire(saSection('17', { state: Buffer.of(0, 255) })),
    );
    expect(encryptionKey.reveal().toString('hex')).to.equal('000102030405060708090a0b0c0d0e0f10111213');
    expect(integrityKey).to.equal(undefined);
    const selector = { family: 4, protocol: 0, fromPort: 0, toPort: 65_535 };
    expect(sa).to.deep.equal({
      id: '17',
      spi: 0xc0000001,
      direction: 'in',
      source: '192.0.2.101',
      destination: '192.0.2.10',
      sourcePort: 4500,
      destinationPort: 4500,
      reqid: 1,
      group: 1,
      mode: 'tunnel',
      hasUdpEncapsulation: true,
      hasEsn: false,
      replayWindowPackets: 32,
      isInitiator: false,
      isUpdate: true,
      copyDf: true,
      copyEcn: true,
      copyDscp: 'out',
      tfcBytes: 0,
      encryptionTransform: 20,
      integrityTransform: 0,
      sourceSelectors: [{ ...selector, from: '10.1.1.1', to: '10.1.1.1' }],
      destinationSelectors: [{ ...selector, from: '203.0.113.10', to: '203.0.113.10' }],
      seconds: { soft: 3300, hard: 3600 },
      bytes: { soft: 0, hard: 0 },
      packets: { soft: 0, hard: 0 },
      ageMs: 12,
      dvipa: '203.0.113.10',
      state: Buffer.of(0, 255),
    });
  });

  it('vici plugin parser copies keys out and overwrites them where they came from', () => {
    const section = wire(saSection('1', { 'integ-alg': 12, 'integ-key': Buffer.alloc(32, 7) }));
    const sa = parseSa(section);
    expect(section.bytes('encr-key')?.every((byte) => byte === 0)).to.equal(true);
    expect(section.bytes('integ-key')?.every((byte) => byte === 0)).to.equal(true);
    expect(sa.integrityKey?.reveal()).to.deep.equal(Buffer.alloc(32, 7));
    expect(inspect(sa, { depth: 9 }) + JSON.stringify(sa)).to.not.match(/0c0d|07, 7/);
  });

  it('vici plugin parser copies states: they outlive the bytes they came in', () => {
    const bytes = encodeMessage(ViciMessage.of(saSection('1', { state: 'mark' })));
    const sa = parseSa(decodeMessage(bytes));
    bytes.fill(0);
    expect(sa.state?.toString()).to.equal('mark');
  });

  it('vici plugin parser reads IPv6 in any form, ports, protocols and several selectors', () => {
    const six = selectorSection('2001:db8::', {
      to: '2001:db8::FFFF',
      protocol: 6,
      'from-port': 80,
      'to-port': 443,
    });
    const sa = parseSa(
      wire(saSection('1', { src: '2001:DB8:0::1', 'src-ts': { 0: six, 1: selectorSection('10.0.0.1') } })),
    );
    expect(sa.source).to.equal('2001:db8::1');
    expect(sa.sourceSelectors.map(({ from, to }) => [from, to])).to.deep.equal([
      ['2001:db8::', '2001:db8::ffff'],
      ['10.0.0.1', '10.0.0.1'],
    ]);
    expect(sa.sourceSelectors[0]).to.include({ family: 6, protocol: 6, fromPort: 80, toPort: 443 });
  });

  it('vici plugin parser takes a limit of 64 bits as the largest number we count to', () => {
    const { bytes } = parseSa(
      wire(saSection('1', { 'bytes-soft': 2n ** 53n - 1n, 'bytes-hard': 2n ** 64n - 1n })),
    );
    expect(bytes).to.deep.equal({ soft: Number.MAX_SAFE_INTEGER, hard: Number.MAX_SAFE_INTEGER });
  });

  it('vici plugin parser needs no key in an update, and takes none', () => {
    const update = parseSaUpdate(wire(saSection('1', { 'encr-key': undefined, sport: 4501 })));
    expect(update.sourcePort).to.equal(4501);
    expect(update).to.not.have.property('encryptionKey');
    expectThrows('invalid', () => parseSa(wire(saSection('1', { 'encr-key': undefined }))));
  });

  for (const [what, override] of [
    ['id 0', { id: '0' }],
    ['an id that is no number', { id: '1a' }],
    ['an id with a sign', { id: '-1' }],
    ['a reserved SPI (RFC 4303 section 2.1)', { spi: '000000ff' }],
    ['an SPI of 7 digits', { spi: 'c000001' }],
    ['an SPI in capitals', { spi: 'C0000001' }],
    ['an SPI with 0x', { spi: '0xc00001' }],
    ['a third direction', { direction: 'fwd' }],
    ['no source', { src: undefined }],
    ['a host name', { src: 'router1' }],
    ['%any', { dst: '%any' }],
    ['an IPv4 address of three parts', { src: '192.0.2' }],
    ['an IPv4 address in octal', { src: '0300.0.2.1' }],
    ['an IPv6 zone', { src: 'fe80::1%eth0' }],
    ['a port over 65535', { sport: 65_536 }],
    ['a port with a leading zero', { sport: '04500' }],
    ['a port that is a section', { sport: {} }],
    ['no group', { group: undefined }],
    ['group 0', { group: 0 }],
    ['a group over 32 bits', { group: 2 ** 32 }],
    ['a mode of no data plane', { mode: 'beet' }],
    ['a flag that is neither yes nor no', { encap: 'true' }],
    ['dscp copied sideways', { 'copy-dscp': 'both' }],
    ['an algorithm over 65535', { 'encr-alg': 65_536 }],
    ['a key of 129 bytes', { 'encr-key': Buffer.alloc(129) }],
    ['an integrity key without algorithm', { 'integ-key': Buffer.alloc(32) }],
    ['an integrity algorithm without key', { 'integ-alg': 12 }],
    ['an integrity algorithm with a key of no bytes', { 'integ-alg': 12, 'integ-key': Buffer.alloc(0) }],
    ['no selectors', { 'src-ts': {} }],
    [
      '257 selectors',
      {
        'src-ts': Object.fromEntries(
          Array.from({ length: 257 }, (_, n) => [`${n}`, selectorSection('10.0.0.1')]),
        ),
      },
    ],
    ['a selector of the other family', ts({ family: 6 })],
    ['a selector of no family', ts({ family: 5 })],
    ['a selector that ends before it begins', ts({ to: '203.0.113.9' })],
    ['a selector that mixes families', ts({ to: '::' })],
    ['a protocol over 255', ts({ protocol: 256 })],
    ['a byte limit of 21 digits', { 'bytes-hard': 10n ** 20n }],
    ['a limit below zero', { 'packets-soft': -1 }],
    ['a state of 1025 bytes', { state: Buffer.alloc(1025) }],
    ['no dvipa', { dvipa: undefined }],
  ] as [string, ViciFields][]) {
    it(`vici plugin parser refuses an SA with ${what}`, () => {
      const error = expectThrows('invalid', () => parseSa(wire(saSection('1', override))));
      expect(error.message).to.match(/^sa\.\S+: expected /);
    });
  }

  it('vici plugin parser quotes no value in an error: it may be a key', () => {
    const error = expectThrows('invalid', () => parseSa(wire(saSection('1', { spi: 'SECRET!!' }))));
    expect(error.message).to.equal('sa.spi: expected 8 hex digits');
  });

  it('vici plugin parser reads a policy; no SPI, or zeros, mean none', () => {
    const policy = parsePolicy(wire(policySection('3')));
    expect(policy).to.include({
      id: '3',
      direction: 'out',
      reqid: 1,
      group: 1,
      priority: 371_327,
      spi: 0xc0000002,
    });
    expect(policy).to.include({ source: '192.0.2.10', destination: '192.0.2.101' });
    expect([policy.sourceSelector.from, policy.destinationSelector.from]).to.deep.equal([
      '203.0.113.10',
      '10.1.1.1',
    ]);
    expect(parsePolicy(wire(policySection('3', { group: 0 }))).group).to.equal(0);
    for (const spi of [undefined, '00000000']) {
      expect(parsePolicy(wire(policySection('3', { spi }))).spi).to.equal(undefined);
    }
  });

  for (const [what, override] of [
    ['an action of no ipsec', { action: 'bypass' }],
    ['an empty key', { key: '' }],
    ['a key of 513 characters', { key: 'k'.repeat(513) }],
    ['a key with a line feed', { key: 'a\nb' }],
    ['a direction of none', { direction: 'up' }],
    ['an SPI that is none', { spi: 'none' }],
    ['no selector', { 'src-ts': undefined }],
    ['no group', { group: undefined }],
    ['a group over 32 bits', { group: 2 ** 32 }],
    ['a priority over 32 bits', { priority: 2 ** 32 }],
  ] as [string, ViciFields][]) {
    it(`vici plugin parser refuses a policy with ${what}`, () => {
      expectThrows('invalid', () => parsePolicy(wire(policySection('1', override))));
    });
  }

  it('vici plugin parser reads each event', () => {
    const head = { instance: PLUGIN_INSTANCE, seq: 5 };
    const sa = saSection('1');
    const name = { id: '1', spi: 'c0000001', direction: 'in' };
    const types = [
      parsePluginEvent('sa-add', wire({ ...head, sa })),
      parsePluginEvent('sa-update', wire({ ...head, sa: { ...sa, 'encr-key': undefined } })),
      parsePluginEvent('sa-delete', wire({ ...head, sa: name })),
      parsePluginEvent('policy-add', wire({ ...head, policy: policySection('2') })),
      parsePluginEvent('policy-delete', wire({ ...head, policy: { id: '2', key: 'out a === b' } })),
    ];
    for (const event of types) expect(event).to.include({ instance: PLUGIN_INSTANCE, sequence: 5 });
    expect(types[2]?.change).to.deep.equal({ type: 'sa-delete', id: '1', spi: 0xc0000001, direction: 'in' });
    expect(types[4]?.change).to.deep.equal({ type: 'policy-delete', id: '2', key: 'out a === b' });
  });

  it('vici plugin parser refuses an event without its place: instance and number', () => {
    for (const head of [{ seq: 1 }, { instance: 'c0ffee', seq: 1 }, { instance: PLUGIN_INSTANCE }]) {
      expectThrows('invalid', () =>
        parsePluginEvent('policy-delete', wire({ ...head, policy: { id: '2', key: 'k' } })),
      );
    }
  });

  it('vici plugin parser reads the end of a list, with states kept by DVIPA', () => {
    const head = {
      instance: PLUGIN_INSTANCE,
      seq: 0,
      dvipas: ['203.0.113.10', '2001:DB8::A'],
      endpoints: ['192.0.2.10'],
    };
    const list = parseListReply(wire({ ...head, state: { '203.0.113.10': Buffer.of(1, 2) } }));
    expect(list).to.deep.equal({
      instance: PLUGIN_INSTANCE,
      sequence: 0,
      dvipas: ['203.0.113.10', '2001:db8::a'],
      endpoints: ['192.0.2.10'],
      states: new Map([['203.0.113.10', Buffer.of(1, 2)]]),
    });
    expect(parseListReply(wire(head)).states.size).to.equal(0);
    for (const wrong of [
      { dvipas: undefined },
      { dvipas: ['x'] },
      { endpoints: 'a' },
      { state: { a: {} } },
    ]) {
      expectThrows('invalid', () => parseListReply(wire({ ...head, ...(wrong as ViciFields) })));
    }
  });
});
