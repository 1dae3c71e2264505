export const BLOCK_BYTES = 16;
/** 20 bytes of IPv4 header and 14 of TCP, with room for 12 bytes of options. */
export const LEAD_BLOCKS = 3;
/** 60 bytes of IPv4 header and 14 of TCP. */
export const LONG_BLOCKS = 5;
/** The lead and the block with the trailer. */
export const SPAN_BLOCKS = LEAD_BLOCKS + 1;

/** Where packets lie; part of a `PeekBatch`. */
export interface PacketPlaces {
  readonly slab: Buffer;
  readonly espOffset: Uint32Array;
  readonly espLength: Uint32Array;
}

/**
 * Reads the first bytes and the trailer of one SA's packets, without authentication and in constant work. Positions are
 * in blocks of 16 bytes whatever the cipher's own block is.
 */
export interface InnerReader {
  readonly spi: number;
  /** False once the owner wiped a key, or after `close`. */
  readonly isUsable: boolean;
  /** Ends the cipher: OpenSSL frees and clears the key schedule. Twice is harmless. */
  close(): void;
  /** Bytes of ciphertext in an ESP packet of this length; CBC's last block must be whole. Negative: truncated. */
  cipherBytes(espLength: number): number;
  /**
   * The lead and the trailer block of packets `members`, `SPAN_BLOCKS` blocks for each. What lies beyond a short packet is
   * undefined. The result is the caller's, to wipe.
   */
  decrypt(places: PacketPlaces, members: readonly number[]): Buffer;
  /** The first five blocks of one packet: for IPv4 headers with long options. */
  decryptLong(slab: Buffer, espOffset: number, cipherBytes: number): Buffer;
}
