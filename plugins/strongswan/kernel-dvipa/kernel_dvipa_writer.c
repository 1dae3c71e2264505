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

#include "kernel_dvipa_writer.h"

typedef struct private_kernel_dvipa_writer_t private_kernel_dvipa_writer_t;

/**
 * Private data of a kernel_dvipa_writer_t.
 */
struct private_kernel_dvipa_writer_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_writer_t public;

	/**
	 * Buffer, of which used bytes are written
	 */
	chunk_t buf;

	/**
	 * Bytes used in buf
	 */
	size_t used;

	/**
	 * Where the current packet begins
	 */
	size_t packet;
};

/**
 * Make room for len more bytes, and count them as used
 */
static uint8_t *reserve(private_kernel_dvipa_writer_t *this, size_t len)
{
	if (this->buf.len - this->used < len)
	{
		chunk_t bigger;

		/* no realloc(): it would leave copies of keys behind */
		bigger = chunk_alloc(max(2 * this->buf.len, this->used + len));
		memcpy(bigger.ptr, this->buf.ptr, this->used);
		chunk_clear(&this->buf);
		this->buf = bigger;
	}
	this->used += len;
	return this->buf.ptr + this->used - len;
}

/**
 * Write an element's type, its name if it has one
 */
static void put_element(private_kernel_dvipa_writer_t *this, uint8_t type,
						const char *name)
{
	size_t len;
	uint8_t *pos;

	*reserve(this, 1) = type;
	if (name)
	{
		len = min(strlen(name), UINT8_MAX);
		pos = reserve(this, 1 + len);
		*pos = len;
		memcpy(pos + 1, name, len);
	}
}

/**
 * Write a value with its length. What is too long is a fault of ours; an
 * empty value lets the receiver refuse the message.
 */
static void put_value(private_kernel_dvipa_writer_t *this, chunk_t value)
{
	uint8_t *pos;

	if (value.len > UINT16_MAX)
	{
		value = chunk_empty;
	}
	pos = reserve(this, 2 + value.len);
	htoun16(pos, value.len);
	if (value.len)
	{
		memcpy(pos + 2, value.ptr, value.len);
	}
}

/**
 * Write a value in printf() style
 */
static void put_text(private_kernel_dvipa_writer_t *this, const char *fmt,
					 va_list args)
{
	char buf[512];
	int len;

	len = vsnprintf(buf, sizeof(buf), fmt, args);
	if (len < 0 || len >= (int)sizeof(buf))
	{
		len = 0;
	}
	put_value(this, chunk_create((u_char*)buf, len));
}

METHOD(kernel_dvipa_writer_t, begin_packet, void,
	private_kernel_dvipa_writer_t *this, kernel_dvipa_packet_t type,
	const char *name)
{
	this->packet = this->used;
	reserve(this, sizeof(uint32_t));
	put_element(this, type, name);
}

METHOD(kernel_dvipa_writer_t, end_packet, void,
	private_kernel_dvipa_writer_t *this)
{
	htoun32(this->buf.ptr + this->packet,
			this->used - this->packet - sizeof(uint32_t));
}

METHOD(kernel_dvipa_writer_t, begin_section, void,
	private_kernel_dvipa_writer_t *this, const char *name)
{
	put_element(this, DVIPA_SECTION_START, name);
}

METHOD(kernel_dvipa_writer_t, end_section, void,
	private_kernel_dvipa_writer_t *this)
{
	put_element(this, DVIPA_SECTION_END, NULL);
}

METHOD(kernel_dvipa_writer_t, begin_list, void,
	private_kernel_dvipa_writer_t *this, const char *name)
{
	put_element(this, DVIPA_LIST_START, name);
}

METHOD(kernel_dvipa_writer_t, end_list, void,
	private_kernel_dvipa_writer_t *this)
{
	put_element(this, DVIPA_LIST_END, NULL);
}

METHOD(kernel_dvipa_writer_t, add, void,
	private_kernel_dvipa_writer_t *this, const char *name,
	const char *fmt, ...)
{
	va_list args;

	put_element(this, DVIPA_KEY_VALUE, name);
	va_start(args, fmt);
	put_text(this, fmt, args);
	va_end(args);
}

METHOD(kernel_dvipa_writer_t, add_chunk, void,
	private_kernel_dvipa_writer_t *this, const char *name, chunk_t value)
{
	put_element(this, DVIPA_KEY_VALUE, name);
	put_value(this, value);
}

METHOD(kernel_dvipa_writer_t, add_item, void,
	private_kernel_dvipa_writer_t *this, const char *fmt, ...)
{
	va_list args;

	put_element(this, DVIPA_LIST_ITEM, NULL);
	va_start(args, fmt);
	put_text(this, fmt, args);
	va_end(args);
}

METHOD(kernel_dvipa_writer_t, extract, chunk_t,
	private_kernel_dvipa_writer_t *this)
{
	chunk_t packets;

	/* the unused rest goes back with the chunk: it was never written to */
	packets = chunk_create(this->buf.ptr, this->used);
	this->buf = chunk_empty;
	this->used = 0;
	return packets;
}

METHOD(kernel_dvipa_writer_t, destroy, void,
	private_kernel_dvipa_writer_t *this)
{
	chunk_clear(&this->buf);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_writer_t *kernel_dvipa_writer_create()
{
	private_kernel_dvipa_writer_t *this;

	INIT(this,
		.public = {
			.begin_packet = _begin_packet,
			.end_packet = _end_packet,
			.begin_section = _begin_section,
			.end_section = _end_section,
			.begin_list = _begin_list,
			.end_list = _end_list,
			.add = _add,
			.add_chunk = _add_chunk,
			.add_item = _add_item,
			.extract = _extract,
			.destroy = _destroy,
		},
		.buf = chunk_alloc(1024),
	);
	return &this->public;
}
