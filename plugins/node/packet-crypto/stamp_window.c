/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "stamp_window.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_PACKETS 64
#define SENDERS_MIN 4
/** LAST_IV_COUNTER of numbering-constants.ts */
#define COUNTER_MAX 0xffffffffffffULL

static bool reach(stamp_windows_t *this, uint16_t sender)
{
	uint32_t size = this->size ? this->size : SENDERS_MIN;
	stamp_window_t *windows;

	if (sender < this->size)
	{
		return true;
	}
	while (size <= sender)
	{
		size *= 2;
	}
	windows = realloc(this->by_sender, size * sizeof(*windows));
	if (!windows)
	{
		return false;
	}
	memset(windows + this->size, 0, (size - this->size) * sizeof(*windows));
	this->by_sender = windows;
	this->size = size;
	return true;
}

static bool mark(stamp_window_t *this, uint64_t counter)
{
	uint64_t distance, bit;

	if (counter > this->top)
	{
		distance = counter - this->top;
		this->seen = distance < WINDOW_PACKETS ? this->seen << distance : 0;
		this->seen |= 1;
		this->top = counter;
		return true;
	}
	distance = this->top - counter;
	bit = distance < WINDOW_PACKETS ? 1ULL << distance : 0;
	if (!bit || this->seen & bit)
	{
		return false;
	}
	this->seen |= bit;
	return true;
}

bool stamp_windows_mark(stamp_windows_t *this, uint16_t sender, uint64_t counter)
{
	return sender > 0 && counter > 0 && counter <= COUNTER_MAX &&
		   reach(this, sender) && mark(&this->by_sender[sender], counter);
}

void stamp_windows_free(stamp_windows_t *this)
{
	free(this->by_sender);
	this->by_sender = NULL;
	this->size = 0;
}
