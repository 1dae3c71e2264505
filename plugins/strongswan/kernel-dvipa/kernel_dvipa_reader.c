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

#include "kernel_dvipa_reader.h"

/**
 * Take an element's name off a message
 */
static bool take_name(chunk_t *message, chunk_t *name)
{
	size_t len;

	if (!message->len)
	{
		return FALSE;
	}
	len = message->ptr[0];
	if (message->len - 1 < len)
	{
		return FALSE;
	}
	*name = chunk_create(message->ptr + 1, len);
	*message = chunk_skip(*message, 1 + len);
	return TRUE;
}

/**
 * Take a value off a message
 */
static bool take_value(chunk_t *message, chunk_t *value)
{
	size_t len;

	if (message->len < 2)
	{
		return FALSE;
	}
	len = untoh16(message->ptr);
	if (message->len - 2 < len)
	{
		return FALSE;
	}
	*value = chunk_create(message->ptr + 2, len);
	*message = chunk_skip(*message, 2 + len);
	return TRUE;
}

/**
 * Take the rest of a section or list off a message, its body without the end
 */
static bool take_body(chunk_t *message, kernel_dvipa_element_t type,
					  chunk_t *body)
{
	chunk_t rest = *message, name, value;
	u_int depth = 1;
	bool list = type == DVIPA_LIST_START;
	uint8_t *end;

	while (rest.len)
	{
		end = rest.ptr;
		rest = chunk_skip(rest, 1);
		switch (*end)
		{
			case DVIPA_SECTION_START:
				if (list || ++depth > KERNEL_DVIPA_MAX_DEPTH ||
					!take_name(&rest, &name))
				{
					return FALSE;
				}
				break;
			case DVIPA_LIST_START:
				if (list || !take_name(&rest, &name))
				{
					return FALSE;
				}
				list = TRUE;
				break;
			case DVIPA_KEY_VALUE:
				if (list || !take_name(&rest, &name) ||
					!take_value(&rest, &value))
				{
					return FALSE;
				}
				break;
			case DVIPA_LIST_ITEM:
				if (!list || !take_value(&rest, &value))
				{
					return FALSE;
				}
				break;
			case DVIPA_SECTION_END:
				if (list)
				{
					return FALSE;
				}
				depth--;
				break;
			case DVIPA_LIST_END:
				if (!list)
				{
					return FALSE;
				}
				list = FALSE;
				if (type == DVIPA_LIST_START)
				{
					depth--;
				}
				break;
			default:
				return FALSE;
		}
		if (!depth)
		{
			*body = chunk_create(message->ptr, end - message->ptr);
			*message = rest;
			return TRUE;
		}
	}
	return FALSE;
}

/*
 * see header file
 */
kernel_dvipa_element_t kernel_dvipa_reader_next(chunk_t *message,
												chunk_t *name, chunk_t *body)
{
	kernel_dvipa_element_t type;
	bool valid = FALSE;

	*name = *body = chunk_empty;
	if (!message->len)
	{
		return DVIPA_END;
	}
	type = message->ptr[0];
	*message = chunk_skip(*message, 1);
	switch (type)
	{
		case DVIPA_KEY_VALUE:
			valid = take_name(message, name) && take_value(message, body);
			break;
		case DVIPA_LIST_ITEM:
			valid = take_value(message, body);
			break;
		case DVIPA_SECTION_START:
		case DVIPA_LIST_START:
			valid = take_name(message, name) && take_body(message, type, body);
			break;
		default:
			break;
	}
	return valid ? type : DVIPA_INVALID;
}

/*
 * see header file
 */
bool kernel_dvipa_reader_valid(chunk_t message)
{
	kernel_dvipa_element_t type;
	chunk_t name, body;

	/* sections are checked to their ground when they are taken */
	while ((type = kernel_dvipa_reader_next(&message, &name, &body)))
	{
		if (type == DVIPA_INVALID || type == DVIPA_LIST_ITEM)
		{
			return FALSE;
		}
	}
	return TRUE;
}

/*
 * see header file
 */
bool kernel_dvipa_reader_get(chunk_t message, kernel_dvipa_element_t type,
							 const char *name, chunk_t *body)
{
	kernel_dvipa_element_t next;
	chunk_t wanted, found, value;
	bool seen = FALSE;

	wanted = chunk_create((u_char*)name, strlen(name));
	while ((next = kernel_dvipa_reader_next(&message, &found, &value)))
	{
		if (next == DVIPA_INVALID)
		{
			return FALSE;
		}
		if (next != DVIPA_LIST_ITEM && chunk_equals(found, wanted))
		{
			if (seen || next != type)
			{
				return FALSE;
			}
			seen = TRUE;
			*body = value;
		}
	}
	return seen;
}

/*
 * see header file
 */
bool kernel_dvipa_reader_number(chunk_t text, uint64_t limit, uint64_t *number)
{
	uint64_t value = 0;
	size_t i;
	u_int digit;

	if (!text.len)
	{
		return FALSE;
	}
	for (i = 0; i < text.len; i++)
	{
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
		{
			return FALSE;
		}
		digit = text.ptr[i] - '0';
		if (value > (UINT64_MAX - digit) / 10)
		{
			return FALSE;
		}
		value = value * 10 + digit;
	}
	*number = value;
	return value <= limit;
}

/*
 * see header file
 */
bool kernel_dvipa_reader_get_number(chunk_t message, const char *name,
									uint64_t limit, uint64_t *number)
{
	chunk_t text;

	return kernel_dvipa_reader_get(message, DVIPA_KEY_VALUE, name, &text) &&
		   kernel_dvipa_reader_number(text, limit, number);
}

/*
 * see header file
 */
bool kernel_dvipa_reader_get_bool(chunk_t message, const char *name,
								  bool *value)
{
	chunk_t text;

	if (!kernel_dvipa_reader_get(message, DVIPA_KEY_VALUE, name, &text))
	{
		return FALSE;
	}
	*value = chunk_equals(text, chunk_from_str("yes"));
	return *value || chunk_equals(text, chunk_from_str("no"));
}

/*
 * see header file
 */
bool kernel_dvipa_reader_get_text(chunk_t message, const char *name,
								  char *buf, size_t len)
{
	chunk_t text;
	size_t i;

	if (!kernel_dvipa_reader_get(message, DVIPA_KEY_VALUE, name, &text) ||
		!text.len || text.len >= len)
	{
		return FALSE;
	}
	for (i = 0; i < text.len; i++)
	{
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
		{
			return FALSE;
		}
	}
	memcpy(buf, text.ptr, text.len);
	buf[text.len] = '\0';
	return TRUE;
}
