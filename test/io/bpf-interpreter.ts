import { expect } from 'chai';
import { captureFilter } from '../../src/io/bpf.ts';

export interface BpfInput {
  /** How the packet was addressed on the link; 0: to this host. */
  readonly packetType?: number;
  /** Default: what the version of the packet says. */
  readonly etherType?: number;
}

function etherTypeOf(packet: Buffer): number {
  return (packet[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800;
}

/**
 * The few classic BPF instructions that `bpf.ts` uses, as the kernel's documentation defines them: a load
 * beyond the packet ends the program with 0. An unknown instruction throws.
 */
export function runBpf(program: Uint8Array, packet: Buffer, input: BpfInput = {}): number {
  const { packetType = 0, etherType = etherTypeOf(packet) } = input;
  const code = Buffer.from(program.buffer, program.byteOffset, program.length);
  let a = 0;
  let x = 0;
  for (let pc = 0; pc < code.length / 8; pc++) {
    const op = code.readUInt16LE(pc * 8);
    const jt = code.readUInt8(pc * 8 + 2);
    const jf = code.readUInt8(pc * 8 + 3);
    const k = code.readUInt32LE(pc * 8 + 4);
    const fits = (at: number, size: number) => at + size <= packet.length;
    const jump = (isTrue: boolean) => (pc += isTrue ? jt : jf);
    switch (op) {
      case 0x20:
        if (k === 0xfffff004) a = packetType;
        else if (!fits(k, 4)) return 0;
        else a = packet.readUInt32BE(k);
        break;
      case 0x28:
        if (k === 0xfffff000) a = etherType;
        else if (!fits(k, 2)) return 0;
        else a = packet.readUInt16BE(k);
        break;
      case 0x30:
        if (!fits(k, 1)) return 0;
        a = packet.readUInt8(k);
        break;
      case 0x40:
        if (!fits(x + k, 4)) return 0;
        a = packet.readUInt32BE(x + k);
        break;
      case 0x48:
        if (!fits(x + k, 2)) return 0;
        a = packet.readUInt16BE(x + k);
        break;
      case 0x50:
        if (!fits(x + k, 1)) return 0;
        a = packet.readUInt8(x + k);
        break;
      case 0x01:
        x = k;
        break;
      case 0x80:
        a = packet.length;
        break;
      case 0xb1:
        if (!fits(k, 1)) return 0;
        x = 4 * (packet.readUInt8(k) & 15);
        break;
      case 0x1c:
        a = (a - x) >>> 0;
        break;
      case 0x54:
        a = (a & k) >>> 0;
        break;
      case 0x05:
        pc += k;
        break;
      case 0x15:
        jump(a === k);
        break;
      case 0x25:
        jump(a > k);
        break;
      case 0x35:
        jump(a >= k);
        break;
      case 0x45:
        jump((a & k) !== 0);
        break;
      case 0x06:
        return k;
      default:
        throw new Error(`instruction ${pc}: unknown code 0x${op.toString(16)}`);
    }
  }
  throw new Error('fell off the end of the program');
}

const LINK_HEADER = Buffer.from('0123456789abcdeffedc45ff4500', 'hex');

/** Whether the capture filter of these addresses passes a packet: the same with and without a link header in front. */
export function passesOf(
  scope: Parameters<typeof captureFilter>[0],
): (packet: Buffer, packetType?: number) => boolean {
  const bare = captureFilter(scope);
  const behindLink = captureFilter(scope, LINK_HEADER.length);
  return (packet, packetType = 0) => {
    const input = { packetType, etherType: etherTypeOf(packet) };
    const passes = runBpf(bare, packet, input) > 0;
    expect(
      runBpf(behindLink, Buffer.concat([LINK_HEADER, packet]), input) > 0,
      'behind a link header',
    ).to.equal(passes);
    return passes;
  };
}
