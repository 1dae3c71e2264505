/*
 * Classic BPF programs (Linux Documentation/networking/filter.rst). An instruction is 8 bytes in host order:
 *
 * |  code (2)  | jt (1) | jf (1) |          k (4)          |
 *
 * Jumps go forward only, counted from the next instruction; conditional ones reach 255 instructions.
 */
export const BPF_INSTRUCTION_BYTES = 8;
/** BPF_MAXINSNS. */
const MAX_INSTRUCTIONS = 4096;

const LD_WORD = 0x20;
const LD_HALF = 0x28;
const LD_BYTE = 0x30;
/** At X + k: X holds the length of the IP header. */
const LD_WORD_AT_X = 0x40;
const LD_HALF_AT_X = 0x48;
const LD_PACKET_LENGTH = 0x80;
/** X = 4 * (packet[k] & 15). */
const LDX_HEADER_LENGTH = 0xb1;
const SUBTRACT_X = 0x1c;
const AND = 0x54;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_GREATER_OR_EQUAL = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;

/** SKF_AD_OFF + SKF_AD_PKTTYPE: how the packet was addressed on the link. */
const PACKET_TYPE = 0xfffff004;
/** PACKET_HOST: to this host; not broadcast, not another host's, not our own. */
const PACKET_HOST = 0;
const WHOLE_PACKET = 0x40000;

const PROTOCOL_UDP = 17;
const PROTOCOL_ESP = 50;
const PORT_IKE = 500;
const PORT_NATT = 4500;
/** UDP header and the one byte 0xff (RFC 3948 section 2.3). */
const KEEPALIVE_UDP_BYTES = 9;
/** UDP header and SPI, or the non-ESP marker in its place (RFC 3948 section 2.2). */
const SPI_END = 12;

type Label = string;
interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly ifTrue?: Label;
  readonly ifFalse?: Label;
}

/** Collects instructions; a jump without a label falls through to the next instruction. */
class Program {
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<Label, number>();

  label(name: Label): this {
    this.#labels.set(name, this.#instructions.length);
    return this;
  }

  do(code: number, k = 0): this {
    this.#instructions.push({ code, k });
    return this;
  }

  goto(label: Label): this {
    this.#instructions.push({ code: JUMP, k: 0, ifTrue: label });
    return this;
  }

  when(code: number, k: number, to: { yes?: Label; no?: Label }): this {
    this.#instructions.push({
      code,
      k,
      ...(to.yes !== undefined && { ifTrue: to.yes }),
      ...(to.no !== undefined && { ifFalse: to.no }),
    });
    return this;
  }

  /** Goes on only if the condition holds; else the packet is passed over. */
  demand(code: number, k: number): this {
    const next = `after ${this.#instructions.length}`;
    return this.when(code, k, { yes: next }).do(RETURN, 0).label(next);
  }

  /** Jumps if fewer than `bytes` bytes follow the IP header, or it reaches out of the packet. */
  tooShort(bytes: number, label: Label): this {
    return this.do(LD_PACKET_LENGTH)
      .do(SUBTRACT_X)
      .when(JUMP_ANY_BIT, 0x80000000, { yes: label })
      .when(JUMP_GREATER_OR_EQUAL, bytes, { no: label });
  }

  encode(): Uint8Array {
    const { length } = this.#instructions;
    if (length > MAX_INSTRUCTIONS) {
      throw new RangeError(`a capture filter of ${length} instructions: too many addresses`);
    }
    const bytes = Buffer.alloc(length * BPF_INSTRUCTION_BYTES);
    this.#instructions.forEach((instruction, i) => {
      const at = i * BPF_INSTRUCTION_BYTES;
      const isJump = instruction.code === JUMP;
      const yes = this.#distance(i, instruction.ifTrue);
      bytes.writeUInt16LE(instruction.code, at);
      bytes.writeUInt8(isJump ? 0 : yes, at + 2);
      bytes.writeUInt8(this.#distance(i, instruction.ifFalse), at + 3);
      bytes.writeUInt32LE(isJump ? yes : instruction.k, at + 4);
    });
    return bytes;
  }

  #distance(from: number, label: Label | undefined): number {
    if (label === undefined) return 0;
    return (this.#labels.get(label) as number) - from - 1;
  }
}

/**
 * The filter of the routing host's capture, for packets from the IP header on. IPv4 addresses are numbers
 * (192.0.2.1 = 0xc0000201). It passes, of what is addressed to this host on the link:
 *
 * - to an endpoint or a DVIPA: ESP (protocol 50, and UDP port 4500 with an SPI), and what is too short to tell;
 * - to a DVIPA: everything else but IKE, so that what comes in clear is counted.
 *
 * IKE and NAT keep-alives are charon's. Of a fragmented datagram it passes the first fragment only, which
 * has the ports: such a datagram is counted once.
 */
export function captureFilter(scope: {
  readonly dvipas: readonly number[];
  readonly endpoints: readonly number[];
}): Uint8Array {
  const program = new Program()
    .do(LD_WORD, PACKET_TYPE)
    .demand(JUMP_EQUAL, PACKET_HOST)
    .do(LD_BYTE, 0)
    .do(AND, 0xf0)
    .demand(JUMP_EQUAL, 0x40)
    .do(LD_HALF, 6)
    .when(JUMP_ANY_BIT, 0x1fff, { no: 'not a later fragment' })
    .do(RETURN, 0)
    .label('not a later fragment')
    .do(LDX_HEADER_LENGTH, 0)
    .do(LD_WORD, 16);

  // Long jumps: the list may have more than 255 addresses.
  for (const address of scope.dvipas) addressed(program, address, 'to a DVIPA');
  for (const address of scope.endpoints) addressed(program, address, 'to an endpoint');

  return program
    .do(RETURN, 0)
    .label('to an endpoint')
    .do(LD_BYTE, 9)
    .when(JUMP_EQUAL, PROTOCOL_ESP, { yes: 'pass' })
    .when(JUMP_EQUAL, PROTOCOL_UDP, { no: 'drop' })
    .tooShort(8, 'pass')
    .do(LD_HALF_AT_X, 2)
    .when(JUMP_EQUAL, PORT_NATT, { yes: 'to port 4500', no: 'drop' })
    .label('to a DVIPA')
    .do(LD_BYTE, 9)
    .when(JUMP_EQUAL, PROTOCOL_UDP, { no: 'pass' })
    .tooShort(8, 'pass')
    .do(LD_HALF_AT_X, 2)
    .when(JUMP_EQUAL, PORT_IKE, { yes: 'drop' })
    .when(JUMP_EQUAL, PORT_NATT, { no: 'pass' })
    .label('to port 4500')
    .do(LD_HALF_AT_X, 4)
    .when(JUMP_GREATER, KEEPALIVE_UDP_BYTES, { no: 'drop' })
    .when(JUMP_GREATER_OR_EQUAL, SPI_END, { no: 'pass' })
    .tooShort(SPI_END, 'pass')
    .do(LD_WORD_AT_X, 8)
    .when(JUMP_EQUAL, 0, { no: 'pass' })
    .label('drop')
    .do(RETURN, 0)
    .label('pass')
    .do(RETURN, WHOLE_PACKET)
    .encode();
}

function addressed(program: Program, address: number, label: Label): void {
  const next = `not ${label} ${address}`;
  program.when(JUMP_EQUAL, address, { no: next }).goto(label).label(next);
}
