import { expect } from 'chai';
import {
  pluginIdOf,
  saIdOf,
  toOutboundPolicy,
  toSecurityAssociation,
  withUpdate,
} from '../../src/agents/plugin-sa.ts';
import { decodeMessage, encodeMessage } from '../../src/vici/codec.ts';
import { type ViciFields, ViciMessage } from '../../src/vici/message.ts';
import { parsePolicy, parseSa, parseSaUpdate } from '../../src/vici/plugin/parse.ts';
import { PLUGIN_INSTANCE, policySection, saSection, selectorSection } from '../support/fake-plugin.ts';

const wire = (fields: ViciFields) => decodeMessage(encodeMessage(ViciMessage.of(fields)));
const translated = (override: ViciFields = {}) =>
  toSecurityAssociation(PLUGIN_INSTANCE, parseSa(wire(saSection('5', override))));
const saOf = (override: ViciFields = {}) => {
  const result = translated(override);
  if (!result.ok) throw new Error(result.reason);
  return result.value;
};

describe('plugin SA', () => {
  it('plugin SA becomes an SA of the domain', () => {
    const { encryption, ...sa } = saOf({ 'bytes-soft': 1000, 'bytes-hard': 2000 });
    expect(encryption.transform).to.equal(20);
    expect(encryption.key.reveal().toString('hex')).to.equal('000102030405060708090a0b0c0d0e0f10111213');
    const any = { family: 4, protocol: 0, fromPort: 0, toPort: 65_535 };
    const [client, dvipa] = [Uint8Array.of(10, 1, 1, 1), Uint8Array.of(203, 0, 113, 10)];
    expect(sa).to.deep.equal({
      id: '00c0ffee00c0ffee:5',
      spi: 0xc0000001,
      direction: 'in',
      mode: 'tunnel',
      reqid: 1,
      group: 1,
      outer: { source: '192.0.2.101', destination: '192.0.2.10', sourcePort: 4500, destinationPort: 4500 },
      hasUdpEncapsulation: true,
      hasEsn: false,
      replayWindowPackets: 32,
      sourceSelectors: [{ ...any, from: client, to: client }],
      destinationSelectors: [{ ...any, from: dvipa, to: dvipa }],
      lifetime: {
        bytes: { soft: 1000, hard: 2000 },
        packets: { soft: 0, hard: 0 },
        seconds: { soft: 3300, hard: 3600 },
      },
      tfcBytes: 0,
      copy: { df: true, ecn: true, dscp: false },
      dvipa: '203.0.113.10',
    });
  });

  it('plugin SA brings its integrity key where it has one', () => {
    const sa = saOf({ 'encr-alg': 12, 'integ-alg': 12, 'integ-key': Buffer.alloc(32, 9) });
    expect(sa.integrity?.transform).to.equal(12);
    expect(sa.integrity?.key.reveal()).to.deep.equal(Buffer.alloc(32, 9));
  });

  for (const [direction, copy, isCopied] of [
    ['in', 'in', true],
    ['in', 'out', false],
    ['out', 'out', true],
    ['out', 'in', false],
    ['in', 'yes', true],
    ['out', 'no', false],
  ] as const) {
    it(`plugin SA ${direction} with copy_dscp = ${copy} ${isCopied ? 'copies' : 'does not copy'} DSCP`, () => {
      expect(saOf({ direction, 'copy-dscp': copy }).copy.dscp).to.equal(isCopied);
    });
  }

  for (const [direction, mode, tfcBytes] of [
    ['out', 'tunnel', 0xffff_ffff],
    ['out', 'transport', 0],
    ['in', 'tunnel', 0],
  ] as const) {
    it(`plugin SA ${direction} in ${mode} mode with TFC padding ${tfcBytes > 0 ? 'has' : 'has none of'} it`, () => {
      expect(saOf({ direction, mode, tfc: 0xffff_ffff }).tfcBytes).to.equal(tfcBytes);
    });
  }

  it('plugin SA with a replay window too wide for a record is served with a narrower one', () => {
    expect(saOf({ 'replay-window': 1_000_000 }).replayWindowPackets).to.equal(16_384);
  });

  it('plugin SA with selectors that are none is not translated', () => {
    const selector = selectorSection('203.0.113.10', { 'from-port': 443, 'to-port': 80 });
    expect(translated({ 'dst-ts': { 0: selector } })).to.deep.equal({
      ok: false,
      reason: 'traffic-selector',
    });
  });

  it('plugin SA after an update has new outer addresses and the same keys', () => {
    const sa = saOf();
    const moved = saSection('5', { 'encr-key': undefined, src: '192.0.2.200', sport: 1024 });
    const updated = withUpdate(sa, parseSaUpdate(wire(moved)));
    expect(updated.outer).to.include({ source: '192.0.2.200', sourcePort: 1024, destination: '192.0.2.10' });
    expect(updated.encryption.key).to.equal(sa.encryption.key);
    expect({ ...updated, outer: sa.outer }).to.deep.equal(sa);
  });

  it('plugin SA ids name the instance, and belong to it alone', () => {
    const id = saIdOf(PLUGIN_INSTANCE, '12');
    expect(id).to.equal('00c0ffee00c0ffee:12');
    expect(pluginIdOf(PLUGIN_INSTANCE, id)).to.equal('12');
    expect(pluginIdOf('1111111111111111', id)).to.equal(undefined);
    expect(pluginIdOf('', id)).to.equal(undefined);
  });
});

describe('plugin policy', () => {
  const policyOf = (override: ViciFields = {}) =>
    toOutboundPolicy(parsePolicy(wire(policySection('1', override))));

  it('plugin policy out becomes a policy of the domain', () => {
    const result = policyOf();
    if (!result.ok) throw new Error(result.reason);
    const { source, destination, ...policy } = result.value;
    expect(policy).to.deep.equal({
      key: 'out 203.0.113.10/32 === 10.1.1.1/32',
      reqid: 1,
      group: 1,
      priority: 371_327,
      spi: 0xc0000002,
      peer: '192.0.2.101',
    });
    expect([source.from, destination.to]).to.deep.equal([
      Uint8Array.of(203, 0, 113, 10),
      Uint8Array.of(10, 1, 1, 1),
    ]);
  });

  it('plugin policy without an SA has none', () => {
    const result = policyOf({ spi: undefined });
    expect(result.ok && result.value.spi).to.equal(undefined);
  });

  it('plugin policy of another direction has no counterpart', () => {
    for (const direction of ['in', 'fwd'])
      expect(policyOf({ direction })).to.deep.equal({ ok: false, reason: 'direction' });
  });
});
