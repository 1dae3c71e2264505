/** Every cap of the coupling channel. What goes over one ends the session; nothing is cut silently. */

/** One frame, without its length. */
export const FRAME_MAX_BYTES = 256 * 1024;
/** One frame before the peer's hello was accepted. */
export const HELLO_FRAME_MAX_BYTES = 4096;
/** Records received and not handled yet, or sent and not acknowledged yet, in bytes of their frames. */
export const BACKLOG_MAX_BYTES = 32 * 1024 * 1024;
/** The same in records: a small record costs more memory than its frame shows. */
export const BACKLOG_MAX_RECORDS = 65_536;

/** msgpack: levels of nesting (envelope, body, sa, selectors, selector = 5) and values in one record. */
export const NESTING_MAX = 8;
export const VALUES_MAX = 32_768;
export const MAP_KEY_MAX_BYTES = 32;

export const HOST_MAX_CHARACTERS = 200;
/** Key with salt; the longest in use is AES-256 with a 4-byte salt, HMAC-SHA2-512 has 64. */
export const KEY_MAX_BYTES = 128;
export const LINK_KEY_BYTES = 32;
export const STAMP_KEY_BYTES = 16;
/** RFC 7296 section 3.13 counts traffic selectors in one byte. */
export const SELECTORS_MAX = 255;
export const RULES_MAX = 256;
export const ENDPOINTS_MAX = 8;
/** 32768 bits; a target's window is 4096. */
export const BITMAP_MAX_BYTES = 4096;
export const REPORTED_NUMBERS_MAX = 4096;
/** Opened and closed each: a full report of IPv6 flows stays below the frame cap. Longer lists go in parts. */
export const FLOWS_MAX = 512;
/** Ports of one protocol that a target's applications listen on, for one DVIPA. */
export const LISTENED_PORTS_MAX = 1024;
export const LEASE_MAX_NUMBERS = 0x1_0000_0000;
export const REASON_MAX_CHARACTERS = 256;
export const POLICY_KEY_MAX_CHARACTERS = 512;
