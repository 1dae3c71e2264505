/**
 * Times and sizes of outbound numbering (docs/architecture.md, "numbering"). Milliseconds and packets.
 * D and Delta are properties of the network between us and the peer, not of the peer's window: the
 * window is never negotiated, so no constant here may depend on it.
 */

/** A lease covers what its holder sends in this time ... */
export const LEASE_TRAFFIC_MS = 100;
/** ... but never fewer numbers than this ... */
export const LEASE_MIN_NUMBERS = 64;
/** ... and never more: a lost holder burns them all. */
export const LEASE_MAX_NUMBERS = 16_384;
/** A request may ask for at most this many times the holder's last lease: a wild estimate burns little. */
export const LEASE_MAX_GROWTH = 8;

/** Life of a lease. The holder counts from the moment it sent the request, the owner from its grant. */
export const LEASE_TTL_MS = 200;
/** What the owner waits on top of the TTL: clock rates, and a send call that stalls after the check. */
export const LEASE_MARGIN_MS = 3;
/** A holder asks again for a request that nobody answered. Longer than the TTL, so the first is dead. */
export const REQUEST_RETRY_MS = 250;

/** "Delta": difference between two paths to the peer; kept between the last number of one way and the first of the next. */
export const PATH_DIFFERENCE_MS = 1;
/** "D": after this much silence no packet is still on its way to the peer, so a jump over its window is harmless. */
export const SILENCE_MS = 20;

/** A holder (or all who share) that sent nothing for so long is idle; a lone sender is alone after so long. */
export const ACTIVITY_MS = 1000;
/** How often the owner looks whether there is a lone sender left of those who share. */
export const REVIEW_MS = 100;
/**
 * After FLUSH the owner waits at most so long for link packets with counters up to the flushed one; one that comes later
 * leads back to the shared way. They come by another socket than FLUSH: a turn of a busy event loop may lie in between.
 */
export const FLUSH_WAIT_MS = 50;
/** A target that does not answer "way exclusive" with FLUSH in this time stays on the shared way. */
export const MOVE_TIMEOUT_MS = 1000;

/** Of the packets that a target sends to be stamped, so many may never come (a part), or be on their way (packets). */
export const LINK_LOSS = 1 / 8;
export const LINK_SLACK = 1024;

/** Numbers stored ahead at a time; asked for when half is left, so a lease never waits for the store. */
export const SEQUENCE_BLOCK = 65_536;
/** Sender ids stored ahead at a time. */
export const SENDER_ID_BLOCK = 16;
/** First pause after a failed write of the marks; doubles up to the second value. */
export const STORE_RETRY_MS = 100;
export const STORE_RETRY_MAX_MS = 5000;

/** Rekey without ESN at 2^31 numbers, burnt ones included; the last usable number is 2^32 - 1 (RFC 4303 section 3.3.3). */
export const REKEY_SEQUENCE = 2 ** 31;
export const LAST_SEQUENCE = 2 ** 32 - 1;
/** With ESN the counter is 64 bits on the wire; we stop far below 2^53, where a `number` stops being exact. */
export const REKEY_SEQUENCE_ESN = 2 ** 48;
export const LAST_SEQUENCE_ESN = 2 ** 52;

/** Sender ids are 16 bits (RFC 6054 form); rekey before they run out. */
export const REKEY_SENDER_ID = 65_000;
export const LAST_SENDER_ID = 65_535;
/** IV counters are 48 bits. */
export const LAST_IV_COUNTER = 2 ** 48 - 1;
