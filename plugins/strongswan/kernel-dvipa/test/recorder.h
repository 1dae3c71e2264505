/*
 * Copyright (C) 2026 the strongswan-dvipa authors
 *
 * This program is free software; you can redistribute it and/or modify it
 * under the terms of the GNU General Public License as published by the
 * Free Software Foundation; either version 2 of the License, or (at your
 * option) any later version.  See <http://www.fsf.org/copyleft/gpl.txt>.
 *
 * This program is distributed in the hope that it will be useful, but
 * WITHOUT ANY WARRANTY; without even the implied warranty of MERCHANTABILITY
 * or FITNESS FOR A PARTICULAR PURPOSE.  See the GNU General Public License
 * for more details.
 */

/**
 * What the tables tell the journal.
 */

#ifndef RECORDER_H_
#define RECORDER_H_

#include "../kernel_dvipa_journal.h"

/** sink of a journal */
void recorder_sink(void *user, const char *event, chunk_t packet);

/** names of all events since the last call, each with a blank after it */
const char *recorder_told();

/** message of the last event */
chunk_t recorder_last();

/** a value of a section of it, as text */
const char *recorder_text(const char *section, const char *name);

/** a number of a section of it */
uint64_t recorder_number(const char *section, const char *name);

/** forget all that was told */
void recorder_forget();

#define expect_told(events) ({ \
	const char *told = recorder_told(); \
	if (!streq(told, events)) \
	{ \
		fprintf(stderr, "told %s\n", told); \
		expect(!events); \
	} \
})

#endif /** RECORDER_H_ */
