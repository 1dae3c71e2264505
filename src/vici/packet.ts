import { decodeMessage, encodeMessage, MAX_FRAME_BYTES, named } from './codec.ts';
import { ViciError } from './error.ts';
import { ViciMessage } from './message.ts';

/**
 * A packet: what one length-prefixed frame holds. One type byte; then a name (1 byte length) and a message,
 * or one of them, or nothing, by type. Clients send the odd ones out (request, register, unregister),
 * daemons the others.
 */
export type ViciPacket =
  | { readonly type: 'command-request'; readonly name: string; readonly message: ViciMessage }
  | { readonly type: 'command-response'; readonly message: ViciMessage }
  | { readonly type: 'command-unknown' }
  | { readonly type: 'event-register'; readonly name: string }
  | { readonly type: 'event-unregister'; readonly name: string }
  | { readonly type: 'event-confirm' }
  | { readonly type: 'event-unknown' }
  | { readonly type: 'event'; readonly name: string; readonly message: ViciMessage };

export type ViciPacketType = ViciPacket['type'];

const NUMBER_OF: Record<ViciPacketType, number> = {
  'command-request': 0,
  'command-response': 1,
  'command-unknown': 2,
  'event-register': 3,
  'event-unregister': 4,
  'event-confirm': 5,
  'event-unknown': 6,
  event: 7,
};
const TYPE_OF = Object.keys(NUMBER_OF) as ViciPacketType[];

/**
 * One frame's content to a packet. Values alias `bytes`. A type without message must end after its fixed part.
 * @throws ViciError `malformed` or `too-big`, nothing else
 */
export function decodePacket(bytes: Buffer): ViciPacket {
  const type = bytes.length === 0 ? undefined : TYPE_OF[bytes[0] as number];
  if (type === undefined) throw new ViciError('malformed', 'packet of unknown type, or empty');
  switch (type) {
    case 'command-request':
    case 'event': {
      const { name, end } = readName(bytes);
      return { type, name, message: decodeMessage(bytes.subarray(end)) };
    }
    case 'command-response':
      return { type, message: decodeMessage(bytes.subarray(1)) };
    case 'event-register':
    case 'event-unregister': {
      const { name, end } = readName(bytes);
      mustEnd(bytes, end);
      return { type, name };
    }
    default: // the three that are a type and nothing else
      mustEnd(bytes, 1);
      return { type };
  }
}

/**
 * A packet with its 4-byte length in front, ready for the stream.
 * @throws ViciError `too-big`
 */
export function encodePacket(packet: ViciPacket): Buffer {
  const head =
    'name' in packet ? named(NUMBER_OF[packet.type], packet.name) : Buffer.of(NUMBER_OF[packet.type]);
  const message = encodeMessage('message' in packet ? packet.message : new ViciMessage());
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length + message.length);
  if (head.length + message.length > MAX_FRAME_BYTES)
    throw new ViciError('too-big', 'packet is over 512 KiB');
  const bytes = Buffer.concat([length, head, message]);
  message.fill(0); // it may have carried a key, and `bytes` is what the sender overwrites
  return bytes;
}

function readName(bytes: Buffer): { name: string; end: number } {
  const length = bytes[1];
  if (length === undefined || bytes.length < 2 + length)
    throw new ViciError('malformed', 'packet is cut short');
  return { name: bytes.toString('utf8', 2, 2 + length), end: 2 + length };
}

function mustEnd(bytes: Buffer, end: number): void {
  if (bytes.length !== end) throw new ViciError('malformed', 'packet has trailing bytes');
}
