import { expect } from 'chai';
import { parseIkeSa } from '../../../src/vici/charon/ike-sa.ts';
import { parseSaEvent, type SaEvent } from '../../../src/vici/charon/sa-events.ts';
import { decodeMessage, encodeMessage } from '../../../src/vici/codec.ts';
import { type ViciFields, ViciMessage } from '../../../src/vici/message.ts';
import { decodePacket } from '../../../src/vici/packet.ts';
import { fromHex } from '../../support/vectors.ts';
import { charonVector, expectThrows } from '../../support/vici.ts';

/** The events of a recorded conversation, each with its name. */
function eventsOf(vector: string): [string, ViciMessage][] {
  return charonVector(vector).frames.flatMap(({ hex }) => {
    const packet = decodePacket(fromHex(hex).subarray(4));
    return packet.type === 'event' ? [[packet.name, packet.message] as [string, ViciMessage]] : [];
  });
}

/** The value of a key as swanctl printed it. */
const printed = (raw: string, key: string) => new RegExp(`${key}=(\\S+?)[ }]`).exec(raw)?.[1];

const message = (fields: ViciFields) => decodeMessage(encodeMessage(ViciMessage.of(fields)));
const IKE = {
  uniqueid: 1,
  version: 2,
  state: 'ESTABLISHED',
  'local-host': '192.0.2.10',
  'remote-host': '%any',
};
const CHILD = { name: 'web', uniqueid: 7, reqid: 3, state: 'INSTALLED', mode: 'TUNNEL' };

describe('vici list-sas', () => {
  it('vici list-sas reads an IKE_SA of charon with its CHILD_SA', () => {
    const { raw } = charonVector('list-sas with one');
    const [[, event]] = eventsOf('list-sas with one') as [[string, ViciMessage]];
    const [[name, section]] = event.sections() as [[string, ViciMessage]];
    const ike = parseIkeSa(name, section);
    const { children, ...own } = ike;
    expect(own).to.deep.equal({
      name: 'dvipa',
      uniqueId: 1,
      version: 2,
      state: 'ESTABLISHED',
      localHost: '192.0.2.10',
      localPort: 4500,
      localId: '192.0.2.10',
      remoteHost: '192.0.2.101',
      remotePort: 4500,
      remoteId: '192.0.2.101',
      isInitiator: false,
      initiatorSpi: printed(raw, 'initiator-spi'),
      responderSpi: printed(raw, 'responder-spi'),
      establishedSeconds: Number(printed(raw, 'established')),
      rekeyInSeconds: undefined,
      reauthInSeconds: undefined,
      remoteXauthId: undefined,
      remoteEapId: undefined,
      nat: { local: false, remote: true, fake: false, any: true },
      ifIdIn: undefined,
      ifIdOut: undefined,
      encryption: 'AES_CBC',
      encryptionKeyBits: 128,
      integrity: 'HMAC_SHA2_256_128',
      integrityKeyBits: undefined,
      prf: 'PRF_HMAC_SHA2_256',
      keyExchange: 'CURVE_25519',
      additionalKeyExchanges: [],
      usesPpk: false,
      localVirtualIps: [],
      remoteVirtualIps: [],
      tasksQueued: [],
      tasksActive: [],
      tasksPassive: [],
      message: section,
    });
    expect(children).to.have.length(1);
    expect(children[0]).to.include({
      name: 'web',
      uniqueId: 1,
      reqid: 1,
      state: 'INSTALLED',
      mode: 'TUNNEL',
      protocol: 'ESP',
      hasUdpEncapsulation: true,
      spiIn: Number.parseInt(printed(raw, 'spi-in') ?? '', 16),
      spiOut: Number.parseInt(printed(raw, 'spi-out') ?? '', 16),
      bytesIn: 84,
      packetsIn: 1,
      bytesOut: 84,
      packetsOut: 1,
      idleInSeconds: Number(printed(raw, 'use-in')),
      encryption: 'AES_GCM_16',
      encryptionKeyBits: 128,
      integrity: undefined,
    });
    expect(children[0]?.localSelectors).to.deep.equal(['203.0.113.10/32']);
    expect(children[0]?.remoteSelectors).to.deep.equal(['10.1.1.1/32']);
  });

  it('vici list-sas reads both CHILD_SAs during a rekey', () => {
    const [[, event]] = eventsOf('list-sas after a rekey') as [[string, ViciMessage]];
    const [[name, section]] = event.sections() as [[string, ViciMessage]];
    const states = parseIkeSa(name, section).children.map(({ uniqueId, state }) => [uniqueId, state]);
    expect(states).to.deep.equal([
      [1, 'DELETED'],
      [2, 'INSTALLED'],
    ]);
  });

  it('vici list-sas reads a half-open IKE_SA, and a CHILD_SA without SPIs', () => {
    const ike = parseIkeSa('x', message({ ...IKE, state: 'CONNECTING', 'child-sas': { 'web-7': CHILD } }));
    expect([ike.remoteHost, ike.establishedSeconds]).to.deep.equal(['%any', undefined]);
    expect(ike.children[0]).to.include({ spiIn: undefined, bytesIn: 0, idleInSeconds: undefined });
  });

  for (const [text, seconds] of [
    ['3300', 3300],
    ['-2', -2],
    ['18446744073709551614', -2],
  ] as const) {
    it(`vici list-sas reads a time limit of ${text} as ${seconds} s`, () => {
      const child = { ...CHILD, 'rekey-time': text, 'life-time': text };
      const ike = parseIkeSa('x', message({ ...IKE, 'child-sas': { 'web-7': child } }));
      expect([ike.children[0]?.rekeyInSeconds, ike.children[0]?.expiresInSeconds]).to.deep.equal([
        seconds,
        seconds,
      ]);
    });
  }

  for (const [what, change] of [
    ['no unique id', { uniqueid: undefined }],
    ['a unique id that is no number', { uniqueid: '0x1' }],
    ['a port over 65535', { 'local-port': 65_536 }],
    ['no state', { state: undefined }],
    ['a section for a host', { 'remote-host': {} }],
    ['a CHILD_SA with a bad SPI', { 'child-sas': { c: { ...CHILD, 'spi-in': 'C0FFEE00' } } }],
    ['a CHILD_SA with bytes over 2^53', { 'child-sas': { c: { ...CHILD, 'bytes-in': 2n ** 53n } } }],
    ['a CHILD_SA with a time that is none', { 'child-sas': { c: { ...CHILD, 'rekey-time': '1 h' } } }],
  ] as [string, ViciFields][]) {
    it(`vici list-sas refuses an IKE_SA with ${what}`, () => {
      expectThrows('invalid', () => parseIkeSa('x', message({ ...IKE, ...change })));
    });
  }
});

describe('vici SA events', () => {
  const parseAll = (vector: string) =>
    eventsOf(vector).map(([name, event]) => parseSaEvent(name as SaEvent['type'], event));

  it('vici SA events tell of up and down as charon raised them', () => {
    const story = parseAll('events of the life of an IKE_SA').map((event) =>
      'isUp' in event ? [event.type, event.isUp, event.ike.uniqueId, event.ike.children.length] : [],
    );
    expect(story).to.deep.equal([
      ['ike-updown', true, 1, 0],
      ['child-updown', true, 1, 1],
      ['ike-updown', false, 2, 0],
      ['child-updown', false, 2, 1],
    ]);
  });

  it('vici SA events name the old and the new SA of a rekey as charon raised them', () => {
    const [child, ike] = parseAll('rekey events');
    expect(
      child?.type === 'child-rekey' && [child.ike.name, child.old.uniqueId, child.new.uniqueId],
    ).to.deep.equal(['dvipa', 1, 2]);
    expect(child?.type === 'child-rekey' && child.old.reqid === child.new.reqid).to.equal(true);
    expect(child?.type === 'child-rekey' && child.old.spiIn !== child.new.spiIn).to.equal(true);
    expect(ike?.type === 'ike-rekey' && [ike.name, ike.old.uniqueId, ike.new.uniqueId]).to.deep.equal([
      'dvipa',
      1,
      2,
    ]);
  });

  for (const [type, fields] of [
    ['ike-updown', { up: true }],
    ['child-updown', { dvipa: {} }],
    ['ike-rekey', { dvipa: { old: IKE } }],
    ['child-rekey', { dvipa: IKE }],
    ['child-rekey', { dvipa: { ...IKE, 'child-sas': { web: { old: CHILD } } } }],
  ] as [SaEvent['type'], ViciFields][]) {
    it(`vici SA events refuse ${type} with parts missing: ${Object.keys(fields).join()}`, () => {
      expectThrows('invalid', () => parseSaEvent(type, message(fields)));
    });
  }
});
