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
#include "fixture.h"

#include "../kernel_dvipa_commands.h"
#include "../kernel_dvipa_reader.h"

/**
 * Mutated messages, enough to reach every branch of the reader many times
 */
#define ROUNDS 200000

static kernel_dvipa_commands_t commands;

/** what charon was told last */
static char told[128];

static void note_expire(void *user, uint32_t spi, host_t *dst, bool hard)
{
	snprintf(told, sizeof(told), "expire %.8x %H %s", ntohl(spi), dst,
			 hard ? "hard" : "soft");
}

static void note_mapping(void *user, uint32_t spi, host_t *dst, host_t *remote)
{
	snprintf(told, sizeof(told), "mapping %.8x %#H", ntohl(spi), remote);
}

static void note_acquire(void *user, uint32_t reqid,
						 traffic_selector_t *src_ts, traffic_selector_t *dst_ts)
{
	snprintf(told, sizeof(told), "acquire %u %R %R", reqid, src_ts, dst_ts);
}

/**
 * Run a command, return its error message or NULL
 */
static const char *run(const char *name, chunk_t message)
{
	static char errmsg[128];
	kernel_dvipa_writer_t *writer;
	chunk_t packets, answer, success;
	bool failed;

	expect(kernel_dvipa_reader_valid(message));
	told[0] = '\0';
	writer = kernel_dvipa_writer_create();
	kernel_dvipa_commands_run(&commands, chunk_create((u_char*)name,
							  strlen(name)), message, writer, TRUE);
	packets = writer->extract(writer);
	writer->destroy(writer);
	expect(untoh32(packets.ptr) == packets.len - 4);
	expect(packets.ptr[4] == DVIPA_CMD_RESPONSE);
	answer = chunk_skip(packets, 5);
	expect(kernel_dvipa_reader_valid(answer));
	expect(kernel_dvipa_reader_get(answer, DVIPA_KEY_VALUE, "success",
								   &success));
	failed = chunk_equals(success, chunk_from_str("no"));
	if (failed)
	{
		expect(kernel_dvipa_reader_get(answer, DVIPA_KEY_VALUE, "errmsg",
									   &success));
		snprintf(errmsg, sizeof(errmsg), "%.*s", (int)success.len,
				 success.ptr);
	}
	chunk_clear(&packets);
	return failed ? errmsg : NULL;
}

/**
 * A message out of names and values, NULL at the end; "{" and "}" after a name
 * begin and end a section
 */
static chunk_t message(const char *name, ...)
{
	kernel_dvipa_writer_t *writer;
	const char *value;
	chunk_t packets, body;
	va_list args;

	writer = kernel_dvipa_writer_create();
	writer->begin_packet(writer, DVIPA_CMD_RESPONSE, NULL);
	va_start(args, name);
	while (name)
	{
		if (streq(name, "}"))
		{
			writer->end_section(writer);
		}
		else
		{
			value = va_arg(args, const char*);
			if (streq(value, "{"))
			{
				writer->begin_section(writer, name);
			}
			else
			{
				writer->add(writer, name, "%s", value);
			}
		}
		name = va_arg(args, const char*);
	}
	va_end(args);
	writer->end_packet(writer);
	packets = writer->extract(writer);
	writer->destroy(writer);
	body = chunk_clone(chunk_skip(packets, 5));
	chunk_free(&packets);
	return body;
}

/**
 * Expect a command to be taken (NULL), or refused with a message
 */
#define expect_run(name, why, ...) ({ \
	chunk_t _message = message(__VA_ARGS__, NULL); \
	const char *_failed = run(name, _message); \
	if (!streq(_failed ?: "taken", why ?: "taken")) \
	{ \
		fprintf(stderr, "got %s\n", _failed ?: "taken"); \
		expect(!name); \
	} \
	chunk_free(&_message); \
})

/**
 * SAs 1 (encapsulated), 2 (native) and 3 (encapsulated, IPv6)
 */
static void add_sas()
{
	fixture_t *f;
	u_int i;

	for (i = 0; i < 3; i++)
	{
		f = i < 2 ? fixture_create() :
				fixture_create_with("2001:db8::10", "2001:db8::101",
									"2001:db8:1::10/128", "10.1.1.1/32");
		f->id.spi = htonl(0xc0000001 + i);
		f->data.encap = i != 1;
		expect(commands.sad->add(commands.sad, &f->id, &f->data,
								 f->dvipa->clone(f->dvipa)));
		fixture_destroy(f);
	}
}

static void test_mapping()
{
	expect_run("mapping", NULL, "sa", "1", "address", "192.0.2.55", "port",
			   "40000");
	expect(streq(told, "mapping c0000001 192.0.2.55[40000]"));
	expect_run("mapping", NULL, "sa", "3", "address", "2001:DB8::55", "port",
			   "65535");
	expect(streq(told, "mapping c0000003 2001:db8::55[65535]"));
	expect_run("mapping", "the SA has no UDP encapsulation", "sa", "2",
			   "address", "192.0.2.55", "port", "40000");
	expect(!*told);
	expect_run("mapping", "an address of another family", "sa", "1",
			   "address", "2001:db8::55", "port", "40000");
	expect_run("mapping", "an address of another family", "sa", "3",
			   "address", "192.0.2.55", "port", "40000");
	expect_run("mapping", "no such SA", "sa", "4", "address", "192.0.2.55",
			   "port", "40000");
	expect_run("mapping", "no such address", "sa", "3", "address",
			   "::ffff:c000:237", "port", "40000");
	expect_run("mapping", "no such address", "sa", "3", "address", "::",
			   "port", "40000");
	expect_run("mapping", "no such address", "sa", "1", "address", "0.0.0.0",
			   "port", "40000");
	expect_run("mapping", "expected sa, address and port", "sa", "1",
			   "address", "192.0.2.55", "port", "0");
	expect(!*told);
}

/**
 * Expect an acquire for a packet of a policy to be taken, or refused
 */
#define expect_acquire(key, why, proto, from, sp, to, dp) \
	expect_run("acquire", why, "policy", key, "protocol", proto, "src", from, \
			   "sport", sp, "dst", to, "dport", dp)

static void test_acquire()
{
	kernel_ipsec_policy_id_t id;
	ipsec_sa_cfg_t cfg;
	fixture_t *f;
	char *trap = "out 203.0.113.10-203.0.113.10/0/0-65535 "
				 "10.1.1.1-10.1.1.1/0/0-65535 group 0";

	f = fixture_create();
	fixture_outbound(f);
	id = fixture_policy(f, POLICY_OUT);
	cfg = f->sa_cfg;
	cfg.esp.spi = 0;
	cfg.reqid = 7;
	f->manage.sa = &cfg;
	f->manage.prio = POLICY_PRIORITY_ROUTED;
	expect_acquire(trap, "no such policy without an SA", "6",
				   "203.0.113.10", "32768", "10.1.1.1", "80");
	commands.spd->add(commands.spd, &id, &f->manage);
	expect_acquire(trap, NULL, "6", "203.0.113.10", "32768", "10.1.1.1", "80");
	expect(streq(told, "acquire 7 203.0.113.10/32[tcp/32768] "
				 "10.1.1.1/32[tcp/http]"));
	expect_acquire(trap, NULL, "1", "203.0.113.10", "0", "10.1.1.1", "0");
	expect(streq(told, "acquire 7 203.0.113.10/32[icmp] 10.1.1.1/32[icmp]"));
	expect_acquire(trap, "a packet that the policy is not about", "6",
				   "203.0.113.11", "32768", "10.1.1.1", "80");
	expect_acquire(trap, "a packet that the policy is not about", "6",
				   "203.0.113.10", "32768", "10.1.1.2", "80");
	expect_acquire(trap, "a packet that the policy is not about", "6",
				   "2001:db8::1", "32768", "2001:db8::2", "80");
	expect_acquire(trap, "expected addresses and ports of a packet", "6",
				   "203.0.113.10", "65536", "10.1.1.1", "80");
	expect_acquire(trap, "expected addresses and ports of a packet", "6",
				   "203.0.113.10", "1", "nowhere", "80");
	expect_acquire(trap, "expected policy and protocol", "256",
				   "203.0.113.10", "1", "10.1.1.1", "80");
	expect_acquire("out of nothing", "no such policy without an SA", "6",
				   "203.0.113.10", "1", "10.1.1.1", "80");
	expect(!*told);
	/* the same policy, now with an SA */
	cfg.esp.spi = htonl(0xc1000001);
	f->manage.prio = POLICY_PRIORITY_DEFAULT;
	commands.spd->add(commands.spd, &id, &f->manage);
	expect_acquire(trap, "no such policy without an SA", "6",
				   "203.0.113.10", "32768", "10.1.1.1", "80");
	expect(!*told);
	commands.spd->delete(commands.spd, &id, &f->manage);
	expect_acquire(trap, NULL, "17", "203.0.113.10", "53", "10.1.1.1", "53");
	fixture_destroy(f);
}

static void test_others()
{
	expect_run("expire", NULL, "sa", "2", "hard", "no");
	expect(streq(told, "expire c0000002 192.0.2.10 soft"));
	expect_run("expire", "no such SA", "sa", "9", "hard", "yes");
	expect_run("put", NULL, "sa", "3", "state", "x");
	expect_run("put", NULL, "dvipa", "2001:db8:1::10", "state", "x");
	expect_run("put", "no such DVIPA", "dvipa", "2001:db8:1::11", "state",
			   "x");
	expect_run("counters", NULL, "sas", "{", "1", "{", "bytes", "5",
			   "packets", "1", "idle-ms", "0", "}", "}");
	expect_run("ack", NULL, "sa", "1");
}

/**
 * Append the items of a list, each with a blank after it
 */
static void append_items(chunk_t answer, const char *list, char text[256])
{
	kernel_dvipa_element_t type;
	chunk_t items, name, item;
	size_t len;

	expect(kernel_dvipa_reader_get(answer, DVIPA_LIST_START, list, &items));
	while ((type = kernel_dvipa_reader_next(&items, &name, &item)))
	{
		expect(type == DVIPA_LIST_ITEM);
		len = strlen(text);
		snprintf(text + len, 256 - len, "%.*s ", (int)item.len, item.ptr);
	}
}

static void test_list()
{
	kernel_dvipa_writer_t *writer;
	chunk_t packets, answer;
	char text[256] = "";
	size_t len;
	u_int count = 0;

	writer = kernel_dvipa_writer_create();
	kernel_dvipa_commands_run(&commands, chunk_from_str("list"), chunk_empty,
							  writer, TRUE);
	packets = answer = writer->extract(writer);
	writer->destroy(writer);
	while ((len = untoh32(answer.ptr)) != answer.len - 4)
	{
		expect(answer.ptr[4] == DVIPA_EVENT);
		expect(len < answer.len);
		answer = chunk_skip(answer, 4 + len);
		count++;
	}
	expect(count == 4);
	answer = chunk_skip(answer, 5);
	append_items(answer, "dvipas", text);
	append_items(answer, "endpoints", text);
	expect(streq(text, "203.0.113.10 2001:db8:1::10 192.0.2.10 2001:db8::10 "));
	chunk_clear(&packets);
}

static uint32_t state = 20260722;

/**
 * A number below limit, the same in every run
 */
static uint32_t draw(uint32_t limit)
{
	state = state * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)state * limit) >> 32);
}

/**
 * A message with some of its bytes changed, taken out, put in twice or cut
 * off; in a buffer of exactly its size, so a sanitizer sees what is beyond
 */
static chunk_t mutate(chunk_t seed)
{
	static const uint8_t special[] = { 0, 1, 2, 3, 4, 5, 6, 7, 127, 128, 255 };
	chunk_t part, whole;
	size_t at, len;
	u_int times = 1 + draw(4);

	part = chunk_clone(seed);
	while (times-- && part.len)
	{
		at = draw(part.len);
		len = min(1 + draw(8), part.len - at);
		switch (draw(6))
		{
			case 0:
				part.ptr[at] = draw(256);
				break;
			case 1:
				part.ptr[at] = special[draw(countof(special))];
				break;
			case 2:
				part.ptr[at] ^= 1 << draw(8);
				break;
			case 3:
				part.len = at;
				break;
			case 4:
				memmove(part.ptr + at, part.ptr + at + len,
						part.len - at - len);
				part.len -= len;
				break;
			default:
				whole = chunk_cat("cc", part,
								  chunk_create(part.ptr + at, len));
				free(part.ptr);
				part = whole;
				break;
		}
	}
	whole = chunk_clone(part);
	free(part.ptr);
	return whole;
}

/**
 * Whatever the agent's socket brings: nothing but an answer, or a refusal of
 * the message
 */
static void test_mutated()
{
	static const char *names[] = {
		"ack", "acquire", "counters", "expire", "mapping", "put", "list",
		"version", "",
	};
	chunk_t seeds[8], part, packets;
	kernel_dvipa_writer_t *writer;
	const char *name;
	u_int i, valid = 0;

	seeds[0] = message("sa", "1", NULL);
	seeds[1] = message("sas", "{", "1", "{", "bytes", "18446744073709551615",
					   "packets", "7", "idle-ms", "0", "}", "2", "{", "bytes",
					   "5", "packets", "1", "idle-ms", "9007199254740992", "}",
					   "}", NULL);
	seeds[2] = message("sa", "2", "hard", "no", NULL);
	seeds[3] = message("sa", "3", "address", "2001:db8::55", "port", "4500",
					   NULL);
	seeds[4] = message("sa", "1", "address", "192.0.2.55", "port", "40000",
					   NULL);
	seeds[5] = message("dvipa", "2001:db8:1::10", "state", "0123456789", NULL);
	seeds[6] = message("sa", "3", "state", "0123456789", NULL);
	seeds[7] = message("policy", "out 203.0.113.10-203.0.113.10/0/0-65535 "
					   "10.1.1.1-10.1.1.1/0/0-65535 group 0", "protocol", "6",
					   "src", "203.0.113.10", "sport", "1", "dst", "10.1.1.1",
					   "dport", "2", NULL);
	for (i = 0; i < ROUNDS; i++)
	{
		part = mutate(seeds[draw(countof(seeds))]);
		if (kernel_dvipa_reader_valid(part))
		{
			valid++;
			name = names[draw(countof(names))];
			writer = kernel_dvipa_writer_create();
			kernel_dvipa_commands_run(&commands,
							chunk_create((u_char*)name, strlen(name)),
							part, writer, i & 1);
			packets = writer->extract(writer);
			expect(packets.len > 4);
			chunk_clear(&packets);
			writer->destroy(writer);
		}
		free(part.ptr);
	}
	expect(valid > ROUNDS / 100 && valid < ROUNDS);
	for (i = 0; i < countof(seeds); i++)
	{
		chunk_free(&seeds[i]);
	}
}

void test_commands()
{
	lib->settings->set_str(lib->settings, "%s.plugins.kernel-dvipa.dvipas",
						   "203.0.113.10, 2001:db8:1::10", lib->ns);
	lib->settings->set_str(lib->settings, "%s.plugins.kernel-dvipa.endpoints",
						   "192.0.2.10, 2001:db8::10", lib->ns);
	commands = (kernel_dvipa_commands_t){
		.addresses = kernel_dvipa_addresses_create(),
		.journal = kernel_dvipa_journal_create(0, 0),
		.daemon_version = "test",
		.expire = note_expire,
		.mapping = note_mapping,
		.acquire = note_acquire,
	};
	commands.sad = kernel_dvipa_sad_create(commands.journal, 0, 0);
	commands.spd = kernel_dvipa_spd_create(commands.journal, commands.sad);
	add_sas();
	test_mapping();
	test_others();
	test_acquire();
	test_list();
	test_mutated();
	commands.spd->destroy(commands.spd);
	commands.sad->destroy(commands.sad);
	commands.journal->destroy(commands.journal);
	commands.addresses->destroy(commands.addresses);
}
