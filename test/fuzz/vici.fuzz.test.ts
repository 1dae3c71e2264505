import { expect } from 'chai';
import * as fc from 'fast-check';
import { decodeMessage, encodeMessage } from '../../src/vici/codec.ts';
import { ViciError } from '../../src/vici/error.ts';
import { FrameReader } from '../../src/vici/framing.ts';
import { ViciMessage, type ViciValue } from '../../src/vici/message.ts';
import { decodePacket } from '../../src/vici/packet.ts';
import { parseAlert } from '../../src/vici/charon/alerts.ts';
import { parseAuthority } from '../../src/vici/charon/authorities.ts';
import { parseCertificate } from '../../src/vici/charon/certificates.ts';
import { parseConnection } from '../../src/vici/charon/connection-list.ts';
import { parseLogLine } from '../../src/vici/charon/control-log.ts';
import { parseIkeUpdate } from '../../src/vici/charon/ike-update.ts';
import * as policies from '../../src/vici/charon/policies.ts';
import { parseSaEvent, SA_EVENTS } from '../../src/vici/charon/sa-events.ts';
import { parseIkeSa } from '../../src/vici/charon/ike-sa.ts';
import { parseListReply, parsePluginEvent, parsePolicy, parseSa } from '../../src/vici/plugin/parse.ts';
import { PLUGIN_EVENTS } from '../../src/vici/plugin/types.ts';
import { policySection, saSection } from '../support/fake-plugin.ts';
import { fromHex } from '../support/vectors.ts';
import { charonVectors } from '../support/vici.ts';

/** Runs `work`; anything but a ViciError fails the test. */
function onlyViciErrors(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof ViciError)) throw error;
  }
}

const RUNS = { seed: 20_261_123, numRuns: 1000 };

const { value: anyValue } = fc.letrec<{ value: ViciValue; message: ViciMessage }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.array(
      fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
      { maxLength: 4 },
    ),
    tie('message'),
  ),
  message: fc.array(fc.tuple(fc.string({ maxLength: 12 }), tie('value')), { maxLength: 5 }).map((entries) => {
    const message = new ViciMessage();
    for (const [key, value] of entries) message.append(key, value);
    return message;
  }),
}));
const anyMessage = anyValue.map((value) => new ViciMessage().append('root', value));

/** A real frame with some of its bytes changed, and perhaps cut. */
const damagedFrame = fc
  .tuple(
    fc.constantFrom(
      ...charonVectors.flatMap(({ frames }) => frames.map(({ hex }) => fromHex(hex).subarray(4))),
    ),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
    fc.nat(),
  )
  .map(([frame, changes, cut]) => {
    const copy = Buffer.from(frame);
    for (const [at, value] of changes) copy.writeUInt8(value, at % copy.length);
    return cut % 3 === 0 ? copy.subarray(0, cut % copy.length) : copy;
  });

/** A message of our plugin with one value replaced by anything, at any depth. */
const damagedSection = (section: ViciMessage) =>
  fc.tuple(fc.nat(), anyValue).map(([at, value]) => replaceValue(section, at, value));

function replaceValue(section: ViciMessage, at: number, value: ViciValue): ViciMessage {
  const chosen = at % section.entries.length;
  const copy = new ViciMessage();
  for (const [index, [key, old]] of section.entries.entries()) {
    const isInside = old instanceof ViciMessage && at % 2 === 1 && old.entries.length > 0;
    copy.append(key, index !== chosen ? old : isInside ? replaceValue(old, at >> 1, value) : value);
  }
  return copy;
}

describe('vici fuzz', () => {
  it('vici codec never throws anything but ViciError, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        onlyViciErrors(() => decodePacket(Buffer.from(bytes)));
        onlyViciErrors(() => decodeMessage(Buffer.from(bytes)));
        onlyViciErrors(() => [...new FrameReader(1000).push(bytes)]);
      }),
      RUNS,
    );
  });

  it('vici codec never throws anything but ViciError on damaged packets of charon', () => {
    fc.assert(
      fc.property(damagedFrame, (frame) =>
        onlyViciErrors(() => {
          const packet = decodePacket(frame);
          if (packet.type !== 'event') return;
          for (const type of SA_EVENTS) onlyViciErrors(() => parseSaEvent(type, packet.message));
          for (const parse of [parseLogLine, parseCertificate, parseAlert, parseIkeUpdate]) {
            onlyViciErrors(() => parse(packet.message));
          }
          for (const [name, section] of packet.message.sections()) {
            for (const parse of [parseConnection, parseAuthority, policies.parsePolicy, parseIkeSa]) {
              onlyViciErrors(() => parse(name, section));
            }
          }
        }),
      ),
      RUNS,
    );
  });

  it('vici codec gives back every message it encoded', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bytes = encodeMessage(message);
        expect(encodeMessage(decodeMessage(bytes)).equals(bytes)).to.equal(true);
        JSON.stringify(message);
      }),
      RUNS,
    );
  });

  it('vici plugin parsers never throw anything but ViciError, whatever a value is replaced by', () => {
    const sa = ViciMessage.of(saSection('1', { 'integ-alg': 12, 'integ-key': Buffer.alloc(32), state: 'x' }));
    const policy = ViciMessage.of(policySection('1'));
    const event = ViciMessage.of({ instance: '00c0ffee00c0ffee', seq: 1, sa, policy });
    const reply = ViciMessage.of({
      instance: '00c0ffee00c0ffee',
      seq: 1,
      dvipas: [],
      endpoints: [],
      state: { a: 'b' },
    });
    fc.assert(
      fc.property(
        damagedSection(sa),
        damagedSection(policy),
        damagedSection(event),
        damagedSection(reply),
        (...all) => {
          onlyViciErrors(() => parseSa(all[0]));
          onlyViciErrors(() => parsePolicy(all[1]));
          for (const type of PLUGIN_EVENTS) onlyViciErrors(() => parsePluginEvent(type, all[2]));
          onlyViciErrors(() => parseListReply(all[3]));
        },
      ),
      RUNS,
    );
  });
});
