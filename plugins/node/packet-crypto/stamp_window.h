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
#include <stddef.h>
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

#define STAMP_WINDOW_PACKETS 64
/** LAST_IV_COUNTER of numbering-constants.ts */
#define STAMP_COUNTER_MAX 0xffffffffffffULL
#define STAMP_COUNTER_BITS 48

/** Have a window for this sender; false: no memory */
bool stamp_windows_grow(stamp_windows_t *this, uint16_t sender);

static inline bool stamp_window_mark(stamp_window_t *this, uint64_t counter)
{
	uint64_t distance, bit;

	if (counter > this->top)
	{
		distance = counter - this->top;
		this->seen = distance < STAMP_WINDOW_PACKETS ? this->seen << distance : 0;
		this->seen |= 1;
		this->top = counter;
		return true;
	}
	distance = this->top - counter;
	bit = distance < STAMP_WINDOW_PACKETS ? 1ULL << distance : 0;
	if (!bit || this->seen & bit)
	{
		return false;
	}
	this->seen |= bit;
	return true;
}

/** The window that is worked on: as a copy, since many packets in a row have the same one */
typedef struct {
	stamp_window_t *of;
	stamp_window_t window;
} stamp_marker_t;

/** Put the window back where it is from: after the last packet, and before anyone else marks one */
static inline void stamp_marker_end(stamp_marker_t *this)
{
	if (this->of)
	{
		this->of->top = this->window.top;
		this->of->seen = this->window.seen;
		this->of = NULL;
	}
}

/**
 * Mark a packet as seen.
 *
 * @param iv		sender id and counter
 * @return			true once for each counter, and never for one left of the
 *					window, nor for what is no sender id or counter, nor
 *					without memory
 */
static inline bool stamp_marker_mark(stamp_marker_t *this,
									 stamp_windows_t *windows, uint64_t iv)
{
	const uint16_t sender = (uint16_t)(iv >> STAMP_COUNTER_BITS);
	const uint64_t counter = iv & STAMP_COUNTER_MAX;

	if (!sender || !counter)
	{
		return false;
	}
	if (sender >= windows->size)
	{
		/* which may move them all */
		stamp_marker_end(this);
		if (!stamp_windows_grow(windows, sender))
		{
			return false;
		}
	}
	if (this->of != &windows->by_sender[sender])
	{
		stamp_marker_end(this);
		this->of = &windows->by_sender[sender];
		/* one by one, or the compiler keeps both in one register that cannot be shifted */
		this->window.top = this->of->top;
		this->window.seen = this->of->seen;
	}
	return stamp_window_mark(&this->window, counter);
}

/** Free them */
void stamp_windows_free(stamp_windows_t *this);

#endif /* PACKET_CRYPTO_STAMP_WINDOW_H_ */
