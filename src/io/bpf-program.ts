/*
 * Classic BPF programs (Linux Documentation/networking/filter.rst). An instruction is 8 bytes in host order:
 *
 * |  code (2)  | jt (1) | jf (1) |          k (4)          |
 *
 * Jumps go forward only, counted from the next instruction; conditional ones reach 255 instructions.
 */
const BPF_INSTRUCTION_BYTES = 8;
/** BPF_MAXINSNS. */
const MAX_INSTRUCTIONS = 4096;

/** Instruction codes. `..._AT_X` load from X + k; X holds the length of the IP header. */
export const BPF = {
  LD_WORD: 0x20,
  LD_HALF: 0x28,
  LD_BYTE: 0x30,
  LD_WORD_AT_X: 0x40,
  LD_HALF_AT_X: 0x48,
  LD_BYTE_AT_X: 0x50,
  LD_PACKET_LENGTH: 0x80,
  /** X = k. */
  LDX: 0x01,
  /** X = 4 * (packet[k] & 15). */
  LDX_IPV4_HEADER_LENGTH: 0xb1,
  SUBTRACT_X: 0x1c,
  AND: 0x54,
  JUMP: 0x05,
  JUMP_EQUAL: 0x15,
  JUMP_GREATER: 0x25,
  JUMP_GREATER_OR_EQUAL: 0x35,
  JUMP_ANY_BIT: 0x45,
  RETURN: 0x06,
} as const;

/** Places that a load reads instead of the packet. */
export const BPF_ANCILLARY = {
  /** SKF_AD_OFF + SKF_AD_PROTOCOL: the EtherType. */
  PROTOCOL: 0xfffff000,
  /** SKF_AD_OFF + SKF_AD_PKTTYPE: how the packet was addressed on the link. */
  PACKET_TYPE: 0xfffff004,
} as const;

/** Loads from the packet, at k or X + k. */
const PACKET_LOADS = new Set<number>([
  BPF.LD_WORD,
  BPF.LD_HALF,
  BPF.LD_BYTE,
  BPF.LD_WORD_AT_X,
  BPF.LD_HALF_AT_X,
  BPF.LD_BYTE_AT_X,
  BPF.LDX_IPV4_HEADER_LENGTH,
]);

type Label = string;

interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly ifTrue?: Label;
  readonly ifFalse?: Label;
}

/**
 * Collects instructions; a jump without a label falls through to the next instruction. Places are counted from the IP header, which
 * stands behind `linkHeaderBytes` of what the kernel shows the program.
 */
export class BpfProgram {
  readonly #linkHeaderBytes: number;
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<Label, number>();
  #uniqueLabels = 0;

  constructor(linkHeaderBytes = 0) {
    this.#linkHeaderBytes = linkHeaderBytes;
  }

  label(name: Label): this {
    this.#labels.set(name, this.#instructions.length);
    return this;
  }

  do(code: number, k = 0): this {
    const isInPacket = PACKET_LOADS.has(code) && k < BPF_ANCILLARY.PROTOCOL;
    this.#instructions.push({ code, k: isInPacket ? k + this.#linkHeaderBytes : k });
    return this;
  }

  goto(label: Label): this {
    this.#instructions.push({ code: BPF.JUMP, k: 0, ifTrue: label });
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

  /** Jumps if the loaded value is one of these. */
  whenOneOf(values: readonly number[], label: Label): this {
    for (const value of values) this.when(BPF.JUMP_EQUAL, value, { yes: label });
    return this;
  }

  /** Goes on only if the condition holds, else to a label that may be far. */
  demand(code: number, k: number, orElse: Label): this {
    const next = this.unique();
    return this.when(code, k, { yes: next }).goto(orElse).label(next);
  }

  /** Jumps if fewer than `bytes` bytes follow the IP header, or it reaches out of the packet. */
  tooShort(bytes: number, label: Label): this {
    return this.do(BPF.LD_PACKET_LENGTH)
      .do(BPF.SUBTRACT_X)
      .when(BPF.JUMP_ANY_BIT, 0x80000000, { yes: label })
      .when(BPF.JUMP_GREATER_OR_EQUAL, bytes + this.#linkHeaderBytes, { no: label });
  }

  /** A label that nobody else has. */
  unique(): Label {
    return `label ${++this.#uniqueLabels}`;
  }

  encode(): Uint8Array {
    const { length } = this.#instructions;
    if (length > MAX_INSTRUCTIONS) {
      throw new RangeError(`a capture filter of ${length} instructions: too many addresses`);
    }
    const bytes = Buffer.alloc(length * BPF_INSTRUCTION_BYTES);
    this.#instructions.forEach((instruction, i) => {
      const at = i * BPF_INSTRUCTION_BYTES;
      const isJump = instruction.code === BPF.JUMP;
      const yes = this.#distance(i, instruction.ifTrue);
      bytes.writeUInt16LE(instruction.code, at);
      // A conditional jump that is too long throws here.
      bytes.writeUInt8(isJump ? 0 : yes, at + 2);
      bytes.writeUInt8(this.#distance(i, instruction.ifFalse), at + 3);
      bytes.writeUInt32LE(isJump ? yes : instruction.k, at + 4);
    });
    return bytes;
  }

  #distance(from: number, label: Label | undefined): number {
    if (label === undefined) return 0;
    const to = this.#labels.get(label);
    if (to === undefined) throw new Error(`no such place in a capture filter: ${label}`);
    return to - from - 1;
  }
}
