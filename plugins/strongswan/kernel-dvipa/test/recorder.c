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

#include "recorder.h"
#include "unit.h"

#include "../kernel_dvipa_reader.h"

static char told[4096], copy[4096];
static chunk_t last;

void recorder_sink(void *user, const char *event, chunk_t packet)
{
	expect(strlen(told) + strlen(event) + 2 < sizeof(told));
	strcat(strcat(told, event), " ");
	chunk_free(&last);
	last = chunk_clone(chunk_skip(packet, 4 + 2 + strlen(event)));
	expect(untoh32(packet.ptr) == packet.len - 4);
	expect(kernel_dvipa_reader_valid(last));
}

const char *recorder_told()
{
	strcpy(copy, told);
	told[0] = '\0';
	return copy;
}

chunk_t recorder_last()
{
	return last;
}

const char *recorder_text(const char *section, const char *name)
{
	static char text[512];
	chunk_t body, value;

	expect(kernel_dvipa_reader_get(last, DVIPA_SECTION_START, section, &body));
	expect(kernel_dvipa_reader_get(body, DVIPA_KEY_VALUE, name, &value));
	expect(value.len < sizeof(text));
	memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	return text;
}

uint64_t recorder_number(const char *section, const char *name)
{
	uint64_t number;
	chunk_t body;

	expect(kernel_dvipa_reader_get(last, DVIPA_SECTION_START, section, &body));
	expect(kernel_dvipa_reader_get_number(body, name, UINT64_MAX, &number));
	return number;
}

void recorder_forget()
{
	told[0] = '\0';
	chunk_free(&last);
}
