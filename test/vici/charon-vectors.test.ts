import { expect } from 'chai';
import { FrameReader } from '../../src/vici/framing.ts';
import { decodePacket, encodePacket, type ViciPacket } from '../../src/vici/packet.ts';
import { formatRaw } from '../../src/vici/text.ts';
import { type CharonVector, charonVectors } from '../support/vici.ts';
import { fromHex } from '../support/vectors.ts';

/** The packets of one side, read from its bytes in chunks of `chunkBytes`. */
function packetsOf(vector: CharonVector, from: 'client' | 'charon', chunkBytes: number): ViciPacket[] {
  const stream = Buffer.concat(
    vector.frames.filter((frame) => frame.from === from).map(({ hex }) => fromHex(hex)),
  );
  const reader = new FrameReader();
  const packets: ViciPacket[] = [];
  for (let at = 0; at < stream.length; at += chunkBytes) {
    for (const frame of reader.push(stream.subarray(at, at + chunkBytes))) packets.push(decodePacket(frame));
  }
  return packets;
}

/** As `swanctl --raw` prints what charon sent. */
function printed(packets: readonly ViciPacket[], command: string): string {
  const lines = packets.map((packet) => {
    if (packet.type === 'command-response') return formatRaw(packet.message, `${command} reply`);
    if (packet.type !== 'event') return '';
    return formatRaw(packet.message, packet.name === 'control-log' ? 'log' : `${packet.name} event`);
  });
  return lines.join('');
}

describe('vici vectors of charon 5.9.8', () => {
  for (const vector of charonVectors) {
    const command = packetsOf(vector, 'client', 4096).find(({ type }) => type === 'command-request');
    const name = command !== undefined && 'name' in command ? command.name : '';

    if (vector.raw !== '') {
      for (const [how, chunkBytes] of [
        ['whole', 1 << 20],
        ['byte by byte', 1],
      ] as const) {
        it(`vici codec reads "${vector.name}" as swanctl did, ${how}`, () => {
          expect(printed(packetsOf(vector, 'charon', chunkBytes), name)).to.equal(vector.raw);
        });
      }
    }

    it(`vici codec encodes every packet of "${vector.name}" back to the same bytes`, () => {
      for (const { hex } of vector.frames) {
        const bytes = fromHex(hex);
        expect(encodePacket(decodePacket(bytes.subarray(4))).toString('hex')).to.equal(hex);
      }
    });
  }

  it('vici codec sees the answers to unknown names in the recorded bytes', () => {
    const types = (name: string) => {
      const vector = charonVectors.find((candidate) => candidate.name === name);
      return vector === undefined ? [] : packetsOf(vector, 'charon', 1).map(({ type }) => type);
    };
    expect(types('unknown command')).to.deep.equal(['command-unknown']);
    expect(types('unknown event')).to.deep.equal(['event-unknown']);
  });
});
