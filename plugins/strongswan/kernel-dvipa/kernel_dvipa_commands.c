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

#include "kernel_dvipa_commands.h"
#include "kernel_dvipa_reader.h"

/**
 * Most that a counter may say: what a double holds exactly, as the agent's do
 */
#define MAX_COUNTER (1ULL << 53)

typedef struct command_t command_t;

/**
 * Runs a command that has no answer but success. Returns NULL, or why not.
 */
typedef const char *(*simple_t)(kernel_dvipa_commands_t *this,
								chunk_t message);

/**
 * A command without an answer of its own
 */
struct command_t {

	/** name */
	const char *name;

	/** runs it */
	simple_t run;
};

/**
 * Find an SA's running number in a message
 */
static bool get_id(chunk_t message, const char *name, uint64_t *id)
{
	return kernel_dvipa_reader_get_number(message, name, UINT64_MAX, id);
}

/**
 * Check if a message has a value
 */
static bool has(chunk_t message, const char *name)
{
	chunk_t value;

	return kernel_dvipa_reader_get(message, DVIPA_KEY_VALUE, name, &value);
}

/**
 * ack { sa = ID } or ack { policy = ID }
 */
static const char *run_ack(kernel_dvipa_commands_t *this, chunk_t message)
{
	uint64_t id;

	if (has(message, "sa") == has(message, "policy") ||
		!get_id(message, has(message, "sa") ? "sa" : "policy", &id))
	{
		return "expected the id of either an SA or a policy";
	}
	this->journal->ack(this->journal, id);
	return NULL;
}

/**
 * counters { sas { ID { bytes, packets, idle-ms } ... } }
 */
static const char *run_counters(kernel_dvipa_commands_t *this, chunk_t message)
{
	kernel_dvipa_element_t type;
	uint64_t id, bytes, packets, idle;
	const char *failed = NULL;
	chunk_t sas, name, body;

	if (!kernel_dvipa_reader_get(message, DVIPA_SECTION_START, "sas", &sas))
	{
		return "expected a section sas";
	}
	while ((type = kernel_dvipa_reader_next(&sas, &name, &body)))
	{
		if (type != DVIPA_SECTION_START ||
			!kernel_dvipa_reader_number(name, UINT64_MAX, &id) ||
			!kernel_dvipa_reader_get_number(body, "bytes", MAX_COUNTER,
											&bytes) ||
			!kernel_dvipa_reader_get_number(body, "packets", MAX_COUNTER,
											&packets) ||
			!kernel_dvipa_reader_get_number(body, "idle-ms", MAX_COUNTER,
											&idle))
		{	/* the others are fine */
			failed = "expected bytes, packets and idle-ms by id of an SA";
			continue;
		}
		this->sad->set_counters(this->sad, id, bytes, packets, idle);
	}
	return failed;
}

/**
 * expire { sa = ID, hard = yes|no }
 */
static const char *run_expire(kernel_dvipa_commands_t *this, chunk_t message)
{
	uint64_t id;
	uint32_t spi;
	host_t *dst;
	bool hard, encap;

	if (!get_id(message, "sa", &id) ||
		!kernel_dvipa_reader_get_bool(message, "hard", &hard))
	{
		return "expected sa and hard";
	}
	if (!this->sad->get_name(this->sad, id, &spi, &dst, &encap))
	{
		return "no such SA";
	}
	this->expire(this->user, spi, dst, hard);
	dst->destroy(dst);
	return NULL;
}

/**
 * mapping { sa = ID, address, port }
 */
static const char *run_mapping(kernel_dvipa_commands_t *this, chunk_t message)
{
	char address[INET6_ADDRSTRLEN];
	const char *failed = NULL;
	uint64_t id, port;
	uint32_t spi;
	host_t *dst, *remote;
	bool encap;

	if (!get_id(message, "sa", &id) ||
		!kernel_dvipa_reader_get_text(message, "address", address,
									  sizeof(address)) ||
		!kernel_dvipa_reader_get_number(message, "port", UINT16_MAX, &port) ||
		!port)
	{
		return "expected sa, address and port";
	}
	remote = kernel_dvipa_address(address, port);
	if (!remote)
	{
		return "no such address";
	}
	if (!this->sad->get_name(this->sad, id, &spi, &dst, &encap))
	{
		remote->destroy(remote);
		return "no such SA";
	}
	if (!encap)
	{
		failed = "the SA has no UDP encapsulation";
	}
	else if (remote->get_family(remote) != dst->get_family(dst))
	{
		failed = "an address of another family";
	}
	else
	{
		this->mapping(this->user, spi, dst, remote);
	}
	remote->destroy(remote);
	dst->destroy(dst);
	return failed;
}

/**
 * Get one side of a packet from a message
 *
 * @return				NULL if it is none
 */
static traffic_selector_t *get_side(chunk_t message, uint64_t protocol,
									const char *address_name,
									const char *port_name)
{
	char text[INET6_ADDRSTRLEN];
	uint64_t port;
	host_t *host;
	uint8_t bits;

	if (!kernel_dvipa_reader_get_text(message, address_name, text,
									  sizeof(text)) ||
		!kernel_dvipa_reader_get_number(message, port_name, UINT16_MAX, &port))
	{
		return NULL;
	}
	host = kernel_dvipa_address(text, 0);
	if (!host)
	{
		return NULL;
	}
	bits = host->get_family(host) == AF_INET ? 32 : 128;
	/* 0: the protocol has none */
	return traffic_selector_create_from_subnet(host, bits, protocol, port,
											   port ?: UINT16_MAX);
}

/**
 * acquire { policy = KEY, protocol, src, sport, dst, dport }
 */
static const char *run_acquire(kernel_dvipa_commands_t *this, chunk_t message)
{
	traffic_selector_t *src, *dst, *src_ts = NULL, *dst_ts = NULL;
	traffic_selector_t *src_part = NULL, *dst_part = NULL;
	const char *failed = NULL;
	uint64_t protocol;
	uint32_t reqid;
	chunk_t key;

	if (!kernel_dvipa_reader_get(message, DVIPA_KEY_VALUE, "policy", &key) ||
		!kernel_dvipa_reader_get_number(message, "protocol", UINT8_MAX,
										&protocol))
	{
		return "expected policy and protocol";
	}
	src = get_side(message, protocol, "src", "sport");
	dst = get_side(message, protocol, "dst", "dport");
	if (!src || !dst)
	{
		failed = "expected addresses and ports of a packet";
	}
	else if (!this->spd->get_trap(this->spd, key, &reqid, &src_ts, &dst_ts))
	{
		failed = "no such policy without an SA";
	}
	else
	{	/* charon proposes these in front of the configured ones */
		src_part = src->get_subset(src, src_ts);
		dst_part = dst->get_subset(dst, dst_ts);
		if (src_part && dst_part)
		{
			this->acquire(this->user, reqid, src_part, dst_part);
		}
		else
		{
			failed = "a packet that the policy is not about";
		}
	}
	DESTROY_IF(src_part);
	DESTROY_IF(dst_part);
	DESTROY_IF(src_ts);
	DESTROY_IF(dst_ts);
	DESTROY_IF(src);
	DESTROY_IF(dst);
	return failed;
}

/**
 * put { sa = ID, state } or put { dvipa = ADDRESS, state }
 */
static const char *run_put(kernel_dvipa_commands_t *this, chunk_t message)
{
	char dvipa[INET6_ADDRSTRLEN];
	chunk_t state;
	uint64_t id;

	if (!kernel_dvipa_reader_get(message, DVIPA_KEY_VALUE, "state", &state) ||
		has(message, "sa") == has(message, "dvipa"))
	{
		return "expected state, and either sa or dvipa";
	}
	if (state.len > KERNEL_DVIPA_MAX_STATE)
	{
		return "the state is too long";
	}
	if (has(message, "sa"))
	{
		if (!get_id(message, "sa", &id) ||
			!this->sad->put_state(this->sad, id, state))
		{
			return "no such SA";
		}
		return NULL;
	}
	if (!kernel_dvipa_reader_get_text(message, "dvipa", dvipa,
									  sizeof(dvipa)) ||
		!this->addresses->put_state(this->addresses, dvipa, state))
	{
		return "no such DVIPA";
	}
	return NULL;
}

/**
 * Commands without an answer of their own
 */
static const command_t commands[] = {
	{ "ack", run_ack },
	{ "acquire", run_acquire },
	{ "counters", run_counters },
	{ "expire", run_expire },
	{ "mapping", run_mapping },
	{ "put", run_put },
};

/**
 * version {}
 */
static void run_version(kernel_dvipa_commands_t *this,
						kernel_dvipa_writer_t *writer)
{
	writer->begin_packet(writer, DVIPA_CMD_RESPONSE, NULL);
	writer->add(writer, "plugin", "%s", KERNEL_DVIPA_VERSION);
	writer->add(writer, "daemon", "%s", this->daemon_version);
	writer->add(writer, "instance", "%s",
				this->journal->get_instance(this->journal));
	writer->add(writer, "delegates", "%s", this->delegates ? "yes" : "no");
	writer->end_packet(writer);
}

/**
 * list {}: all of it under one lock, so that it is of one moment
 */
static void run_list(kernel_dvipa_commands_t *this,
					 kernel_dvipa_writer_t *writer, bool listed)
{
	this->journal->lock(this->journal);
	if (listed)
	{
		this->sad->encode(this->sad, writer);
		this->spd->encode(this->spd, writer);
	}
	writer->begin_packet(writer, DVIPA_CMD_RESPONSE, NULL);
	writer->add(writer, "instance", "%s",
				this->journal->get_instance(this->journal));
	writer->add(writer, "seq", "%llu",
			(unsigned long long)this->journal->get_sequence(this->journal));
	this->addresses->encode(this->addresses, writer);
	writer->end_packet(writer);
	this->journal->unlock(this->journal);
}

/**
 * Check the name of a command
 */
static bool is(chunk_t command, const char *name)
{
	return chunk_equals(command, chunk_create((u_char*)name, strlen(name)));
}

/*
 * see header file
 */
void kernel_dvipa_commands_run(kernel_dvipa_commands_t *this, chunk_t command,
							   chunk_t message, kernel_dvipa_writer_t *writer,
							   bool listed)
{
	const char *failed;
	u_int i;

	if (is(command, "version"))
	{
		run_version(this, writer);
		return;
	}
	if (is(command, "list"))
	{
		run_list(this, writer, listed);
		return;
	}
	for (i = 0; i < countof(commands); i++)
	{
		if (is(command, commands[i].name))
		{
			failed = commands[i].run(this, message);
			writer->begin_packet(writer, DVIPA_CMD_RESPONSE, NULL);
			writer->add(writer, "success", "%s", failed ? "no" : "yes");
			if (failed)
			{
				writer->add(writer, "errmsg", "%s", failed);
			}
			writer->end_packet(writer);
			return;
		}
	}
	writer->begin_packet(writer, DVIPA_CMD_UNKNOWN, NULL);
	writer->end_packet(writer);
}
