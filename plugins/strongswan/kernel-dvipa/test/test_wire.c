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

#include "unit.h"

#include "../kernel_dvipa_reader.h"

/**
 * The example of strongSwan's vici/README.md: a message, and its encoding
 */
static chunk_t example = chunk_from_chars(
	/* key1 = value1 */
	3, 4,'k','e','y','1', 0,6,'v','a','l','u','e','1',
	/* section1 */
	1, 8,'s','e','c','t','i','o','n','1',
	/*   sub-section */
	1, 11,'s','u','b','-','s','e','c','t','i','o','n',
	/*     key2 = value2 */
	3, 4,'k','e','y','2', 0,6,'v','a','l','u','e','2',
	/*   sub-section end */
	2,
	/*   list1 */
	4, 5,'l','i','s','t','1',
	/*     item1, item2 */
	5, 0,5,'i','t','e','m','1',
	5, 0,5,'i','t','e','m','2',
	/*   list1 end */
	6,
	/* section1 end */
	2,
);

static void test_writer()
{
	kernel_dvipa_writer_t *writer;
	chunk_t packets;

	writer = kernel_dvipa_writer_create();
	writer->begin_packet(writer, DVIPA_CMD_RESPONSE, NULL);
	writer->add(writer, "key1", "value%d", 1);
	writer->begin_section(writer, "section1");
	writer->begin_section(writer, "sub-section");
	writer->add_chunk(writer, "key2", chunk_from_str("value2"));
	writer->end_section(writer);
	writer->begin_list(writer, "list1");
	writer->add_item(writer, "item1");
	writer->add_item(writer, "item%d", 2);
	writer->end_list(writer);
	writer->end_section(writer);
	writer->end_packet(writer);
	/* a second packet, and enough to let the buffer grow a few times */
	writer->begin_packet(writer, DVIPA_EVENT, "sa-add");
	for (int i = 0; i < 1000; i++)
	{
		writer->add(writer, "name", "%d", i);
	}
	writer->end_packet(writer);
	packets = writer->extract(writer);
	writer->destroy(writer);

	expect(untoh32(packets.ptr) == 1 + example.len);
	expect(packets.ptr[4] == DVIPA_CMD_RESPONSE);
	expect(memeq(packets.ptr + 5, example.ptr, example.len));
	packets = chunk_skip(packets, 5 + example.len);
	expect(untoh32(packets.ptr) == packets.len - 4);
	expect(memeq(packets.ptr + 4, "\x07\x06sa-add", 8));
	expect(kernel_dvipa_reader_valid(chunk_skip(packets, 12)));
	free(packets.ptr - 5 - example.len);
}

static void test_reader()
{
	chunk_t section, inner, value, name, message = example;
	char text[8];

	expect(kernel_dvipa_reader_valid(example));
	expect(kernel_dvipa_reader_valid(chunk_empty));
	expect(kernel_dvipa_reader_get(example, DVIPA_KEY_VALUE, "key1", &value));
	expect(chunk_equals(value, chunk_from_str("value1")));
	expect(kernel_dvipa_reader_get(example, DVIPA_SECTION_START, "section1",
								   &section));
	expect(!kernel_dvipa_reader_get(example, DVIPA_KEY_VALUE, "section1",
									&value));
	expect(!kernel_dvipa_reader_get(example, DVIPA_KEY_VALUE, "key2", &value));
	expect(kernel_dvipa_reader_get(section, DVIPA_SECTION_START, "sub-section",
								   &inner));
	expect(kernel_dvipa_reader_get_text(inner, "key2", text, sizeof(text)));
	expect(streq(text, "value2"));
	expect(!kernel_dvipa_reader_get_text(inner, "key2", text, 6));
	expect(kernel_dvipa_reader_get(section, DVIPA_LIST_START, "list1",
								   &inner));
	expect(kernel_dvipa_reader_next(&inner, &name, &value) == DVIPA_LIST_ITEM);
	expect(chunk_equals(value, chunk_from_str("item1")));
	expect(kernel_dvipa_reader_next(&inner, &name, &value) == DVIPA_LIST_ITEM);
	expect(kernel_dvipa_reader_next(&inner, &name, &value) == DVIPA_END);

	expect(kernel_dvipa_reader_next(&message, &name, &value) ==
															DVIPA_KEY_VALUE);
	expect(kernel_dvipa_reader_next(&message, &name, &value) ==
														DVIPA_SECTION_START);
	expect(kernel_dvipa_reader_next(&message, &name, &value) == DVIPA_END);
}

/**
 * Every truncation is invalid or ends between two elements; bytes beyond the
 * end are a sanitizer's business, so each is in a buffer of its own.
 */
static void test_truncated()
{
	chunk_t part;
	size_t i;

	for (i = 0; i < example.len; i++)
	{
		part = chunk_clone(chunk_create(example.ptr, i));
		expect(kernel_dvipa_reader_valid(part) == (i == 0 || i == 14));
		chunk_free(&part);
	}
}

/**
 * Every message with one byte changed, and many of random bytes: nothing but
 * valid or invalid may come of them
 */
static void test_mutated()
{
	chunk_t part, rest, name, body;
	uint32_t state = 42;
	size_t i, len;
	u_int round, valid = 0;
	uint64_t number;
	bool flag;

	for (round = 0; round < 200000; round++)
	{
		state = state * 1664525 + 1013904223;
		if (round & 1)
		{
			part = chunk_clone(example);
			part.ptr[(state >> 8) % part.len] = state >> 24;
		}
		else
		{
			len = (state >> 8) % 24;
			part = chunk_alloc(len);
			for (i = 0; i < len; i++)
			{
				state = state * 1664525 + 1013904223;
				part.ptr[i] = (state >> 24) % 8;
			}
		}
		valid += kernel_dvipa_reader_valid(part);
		rest = part;
		for (i = 0; i < 1000; i++)
		{
			switch (kernel_dvipa_reader_next(&rest, &name, &body))
			{
				case DVIPA_END:
				case DVIPA_INVALID:
					i = 1000;
					break;
				default:
					expect(!body.len || (body.ptr >= part.ptr &&
							body.ptr + body.len <= part.ptr + part.len));
					break;
			}
		}
		kernel_dvipa_reader_get_number(part, "key1", 10, &number);
		kernel_dvipa_reader_get_bool(part, "key1", &flag);
		chunk_free(&part);
	}
	expect(valid > 1000 && valid < round);
}

static void test_form()
{
	struct {
		bool valid;
		chunk_t message;
	} tests[] = {
		{ TRUE,  chunk_from_chars(1, 1, 'a', 2) },
		{ TRUE,  chunk_from_chars(4, 1, 'a', 6) },
		{ TRUE,  chunk_from_chars(3, 0, 0, 0) },
		/* ends of what was not begun, things where they do not belong */
		{ FALSE, chunk_from_chars(2) },
		{ FALSE, chunk_from_chars(6) },
		{ FALSE, chunk_from_chars(0) },
		{ FALSE, chunk_from_chars(7) },
		{ FALSE, chunk_from_chars(5, 0, 0) },
		{ FALSE, chunk_from_chars(1, 1, 'a', 6) },
		{ FALSE, chunk_from_chars(4, 1, 'a', 2) },
		{ FALSE, chunk_from_chars(4, 1, 'a', 4, 1, 'b', 6, 6) },
		{ FALSE, chunk_from_chars(4, 1, 'a', 3, 0, 0, 0, 6) },
		{ FALSE, chunk_from_chars(1, 1, 'a', 5, 0, 0, 2) },
		{ FALSE, chunk_from_chars(1, 1, 'a', 4, 1, 'b', 2) },
		{ FALSE, chunk_from_chars(1, 1, 'a', 2, 2) },
		/* nine sections deep */
		{ FALSE, chunk_from_chars(1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0,
								  1, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2) },
	};
	u_int i;

	for (i = 0; i < countof(tests); i++)
	{
		expect(kernel_dvipa_reader_valid(tests[i].message) == tests[i].valid);
	}
}

static void test_numbers()
{
	struct {
		char *text;
		uint64_t limit;
		bool valid;
	} tests[] = {
		{ "0", 0, TRUE },
		{ "1", 0, FALSE },
		{ "65535", 65535, TRUE },
		{ "65536", 65535, FALSE },
		{ "18446744073709551615", UINT64_MAX, TRUE },
		{ "18446744073709551616", UINT64_MAX, FALSE },
		{ "99999999999999999999999999", UINT64_MAX, FALSE },
		{ "", UINT64_MAX, FALSE },
		{ "-1", UINT64_MAX, FALSE },
		{ "+1", UINT64_MAX, FALSE },
		{ " 1", UINT64_MAX, FALSE },
		{ "1 ", UINT64_MAX, FALSE },
		{ "0x1", UINT64_MAX, FALSE },
	};
	uint64_t number;
	u_int i;

	for (i = 0; i < countof(tests); i++)
	{
		expect(kernel_dvipa_reader_number(chunk_from_str(tests[i].text),
						tests[i].limit, &number) == tests[i].valid);
	}
	/* a name that is there twice is not there: which of them was meant? */
	expect(!kernel_dvipa_reader_get_number(
					chunk_from_chars(3, 1,'a', 0,1,'1', 3, 1,'a', 0,1,'2'),
					"a", 9, &number));
}

void test_wire()
{
	test_writer();
	test_reader();
	test_truncated();
	test_mutated();
	test_form();
	test_numbers();
}
