export const BLOCK_BYTES = 16;

/**
 * Blocks of 16 bytes that a peek decrypts at first, by what the SA carries: the headers of most packets are in them. Behind
 * them comes the block with the trailer.
 */
export const LEAD_BLOCKS = {
  /** 14 bytes of TCP: in transport mode the IP header is outside. */
  TRANSPORT: 1,
  /** 20 bytes of IPv4 and 14 of TCP, with room for 12 bytes of options. */
  IPV4: 3,
  /** 40 bytes of IPv6 and 14 of TCP. */
  IPV6: 4,
} as const;

/** 60 bytes of IPv4 header and 14 of TCP; a quote in an ICMPv6 error; a chain of extension headers of usual length. */
export const LONG_BLOCKS = 16;

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
  readonly leadBlocks: number;
  /** False once the owner wiped a key, or after `close`. */
  readonly isUsable: boolean;
  /** Ends the cipher: OpenSSL frees and clears the key schedule. Twice is harmless. */
  close(): void;
  /** Bytes of ciphertext in an ESP packet of this length; CBC's last block must be whole. Negative: truncated. */
  cipherBytes(espLength: number): number;
  /**
   * The lead and the trailer block of packets `members`, `leadBlocks + 1` blocks for each. What lies beyond a short packet is
   * undefined. The result is the caller's, to wipe.
   */
  decrypt(places: PacketPlaces, members: readonly number[]): Buffer;
  /** The first `LONG_BLOCKS` blocks of one packet, or as many as it has, rounded up; the caller's, to wipe. */
  decryptLong(slab: Buffer, espOffset: number, cipherBytes: number): Buffer;
}
