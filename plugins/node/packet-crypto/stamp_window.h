/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Which packets of each sender of one SA were there, for the SA's whole life: the
 * 64 highest counters, bit i = top - i. A bit is never cleared, and nothing goes
 * back; `src/ipsec/stamp-window.ts` is the model.
 */

#ifndef PACKET_CRYPTO_STAMP_WINDOW_H_
#define PACKET_CRYPTO_STAMP_WINDOW_H_

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	uint64_t top;
	uint64_t seen;
} stamp_window_t;

/** Windows of all senders, by sender id: ids are handed out ascending from 1 */
typedef struct {
	stamp_window_t *by_sender;
	/** sender ids below this have one */
	uint32_t size;
} stamp_windows_t;

/**
 * Mark a packet as seen.
 *
 * @return			true once for each counter, and never for one left of the
 *					window, nor for what is no sender id or counter, nor
 *					without memory
 */
bool stamp_windows_mark(stamp_windows_t *this, uint16_t sender, uint64_t counter);

/** Free them */
void stamp_windows_free(stamp_windows_t *this);

#endif /* PACKET_CRYPTO_STAMP_WINDOW_H_ */
