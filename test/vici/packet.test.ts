import { expect } from 'chai';
import { ViciMessage } from '../../src/vici/message.ts';
import { decodePacket, encodePacket, type ViciPacket } from '../../src/vici/packet.ts';
import { expectThrows } from '../support/vici.ts';

const message = ViciMessage.of({ k: 'v' });

/** Every packet type with its bytes by the specification (vici/README.md, "Packet layer"), length prefix left out. */
const PACKETS: readonly [ViciPacket, string][] = [
  [{ type: 'command-request', name: 'stats', message }, '\x00\x05stats\x03\x01k\x00\x01v'],
  [{ type: 'command-response', message }, '\x01\x03\x01k\x00\x01v'],
  [{ type: 'command-unknown' }, '\x02'],
  [{ type: 'event-register', name: 'log' }, '\x03\x03log'],
  [{ type: 'event-unregister', name: 'log' }, '\x04\x03log'],
  [{ type: 'event-confirm' }, '\x05'],
  [{ type: 'event-unknown' }, '\x06'],
  [{ type: 'event', name: 'log', message }, '\x07\x03log\x03\x01k\x00\x01v'],
];

describe('vici packet', () => {
  for (const [packet, text] of PACKETS) {
    const content = Buffer.from(text, 'latin1');

    it(`vici packet ${packet.type} is encoded with its length in front`, () => {
      const bytes = encodePacket(packet);
      expect(bytes.readUInt32BE(0)).to.equal(content.length);
      expect(bytes.subarray(4)).to.deep.equal(content);
    });

    it(`vici packet ${packet.type} is decoded`, () => {
      expect(describePacket(decodePacket(content))).to.deep.equal(describePacket(packet));
    });

    it(`vici packet ${packet.type} is refused when truncated inside its fixed part, its name or its message`, () => {
      const fixed = 'name' in packet ? 2 + packet.name.length : 1;
      for (let length = 0; length < content.length; length++) {
        if (length === fixed) continue; // an empty message is a message
        expectThrows('malformed', () => decodePacket(content.subarray(0, length)), `first ${length} bytes`);
      }
    });

    it(`vici packet ${packet.type} is refused with trailing bytes`, () => {
      expectThrows('malformed', () => decodePacket(Buffer.concat([content, Buffer.of(0)])));
    });
  }

  it('vici packet of an unknown type is refused', () => {
    for (const type of [8, 9, 255]) expectThrows('malformed', () => decodePacket(Buffer.of(type, 0)));
  });

  it('vici packet over 512 KiB is not encoded', () => {
    const values = Array.from({ length: 8 }, (_, n) => [`${n}`, Buffer.alloc(65_520)] as const);
    expectThrows('too-big', () =>
      encodePacket({ type: 'event', name: 'n'.repeat(255), message: ViciMessage.of(values) }),
    );
  });
});

function describePacket(packet: ViciPacket): unknown {
  return 'message' in packet ? { ...packet, message: packet.message.toJSON() } : packet;
}
