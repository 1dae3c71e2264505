/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "stamp_window.h"

#include <stdlib.h>
#include <string.h>

#define SENDERS_MIN 4

bool stamp_windows_grow(stamp_windows_t *this, uint16_t sender)
{
	uint32_t size = this->size ? this->size : SENDERS_MIN;
	stamp_window_t *windows;

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

void stamp_windows_free(stamp_windows_t *this)
{
	free(this->by_sender);
	this->by_sender = NULL;
	this->size = 0;
}
