/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "raw_share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** Offsets in the headers (RFC 8200 section 3) */
#define IPV6_PAYLOAD_LENGTH 4

/** What a message and a packet cost about, in nanoseconds, and what is worth waking others up */
#define MESSAGE_NS 2000
#define PACKET_NS 150
#define FORK_NS 10000

/** The errno for a packet whose header can not be sent as it is, else 0 */
static int check_header(const endpoint_t *this, const uint8_t *packet,
						uint32_t length)
{
	switch (length ? packet[0] >> 4 : 0)
	{
		case 4:
			return length < IPV4_HEADER_BYTES ? EINVAL : 0;
		case 6:
			/* the kernel fills in nothing: what is wrong here goes out wrong */
			if (length < IPV6_HEADER_BYTES ||
				length - IPV6_HEADER_BYTES !=
				((uint32_t)packet[IPV6_PAYLOAD_LENGTH] << 8 |
				 packet[IPV6_PAYLOAD_LENGTH + 1]))
			{
				return EINVAL;
			}
			return this->fd6 == -1 ? EAFNOSUPPORT : 0;
		default:
			return EINVAL;
	}
}

/** Look at a header before anything is done with the packet */
static void check_headers(raw_call_t *this, raw_share_t *share, uint32_t count)
{
	vector_t *vector = this->vector;
	int error;

	for (uint32_t n = 0; n < count; n++)
	{
		if (!vector->verdict[this->from + n])
		{
			error = check_header(this->endpoint,
								 vector->slab + vector->offset[this->from + n],
								 vector->length[this->from + n]);
			if (error)
			{
				raw_share_refuse(share, n, error);
			}
		}
	}
}

/** What sending a run costs, about, in nanoseconds */
static uint32_t cost_of(const run_t *run, bool is_message)
{
	return (is_message ? 1u : run->segments) * MESSAGE_NS +
		   run->segments * PACKET_NS;
}

/**
 * Finds runs, their sockets, and whose they are: packets to one address are one share's.
 *
 * @return			how many shares there are
 */
static uint32_t part_runs(raw_call_t *this, raw_t *raw, uint32_t count)
{
	uint32_t cost[CREW_WORKERS_MAX] = {}, all = 0, most = 0, part, some;
	const run_t *run;

	runs_find(&this->runs, this->vector, this->from, count,
			  raw->runs_error ? 0 : raw->run_port);
	for (uint32_t i = 0; i < this->runs.count; i++)
	{
		run = &this->runs.run[i];
		this->fd[i] = run->segments > 1
			? sources_get(&raw->sources, this->vector->slab +
						  this->vector->offset[this->from + run->first])
			: -1;
		part = run->place * raw->share_count / RUN_PLACES;
		this->part[i] = (uint8_t)part;
		some = cost_of(run, this->fd[i] != -1);
		cost[part] += some;
		all += some;
		most = cost[part] > most ? cost[part] : most;
	}
	if (all - most >= FORK_NS)
	{
		return raw->share_count;
	}
	/* one thread sends more at once */
	memset(this->part, 0, this->runs.count);
	return 1;
}

static void send_share(void *arg, unsigned worker, unsigned unit)
{
	raw_share_t *shares = arg;

	(void)worker;
	raw_share_send(&shares[unit], (uint8_t)unit);
}

static void settle(endpoint_t *endpoint, const raw_share_t *share)
{
	raw_t *raw = endpoint->data;

	endpoint->sent += share->sent;
	endpoint->refused += share->refused;
	if (share->last_error)
	{
		endpoint->last_error = share->last_error;
	}
	raw->runs += share->runs;
	raw->run_packets += share->run_packets;
	if (share->runs_error)
	{
		raw->runs_error = share->runs_error;
	}
}

/** A share for each worker; where there is no memory for that they stay fewer */
static void make_shares(raw_t *raw, const struct crew_port *crew)
{
	uint32_t count = crew ? crew->workers : 1;
	raw_share_t *shares;

	if (count > raw->share_count)
	{
		shares = realloc(raw->shares, count * sizeof(*shares));
		if (shares)
		{
			raw->shares = shares;
			raw->share_count = count;
		}
	}
}

uint32_t raw_send(endpoint_t *this, vector_t *vector, uint32_t from,
				  uint32_t count, uint8_t refused, uint8_t too_big)
{
	raw_t *raw = this->data;
	uint64_t before = this->sent;
	uint32_t some, shares;
	raw_call_t call;

	/* not all of it: most is about runs, and written when there are some */
	call.endpoint = this;
	call.vector = vector;
	call.refused = refused;
	call.too_big = too_big;
	make_shares(raw, this->crew);
	for (call.from = from; call.from < from + count; call.from += some)
	{
		some = from + count - call.from;
		some = some < RUNS_PACKETS ? some : RUNS_PACKETS;
		for (uint32_t i = 0; i < raw->share_count; i++)
		{
			raw_share_begin(&raw->shares[i], &call);
		}
		check_headers(&call, &raw->shares[0], some);
		shares = part_runs(&call, raw, some);
		crew_run(this->crew, send_share, raw->shares, shares);
		for (uint32_t i = 0; i < shares; i++)
		{
			settle(this, &raw->shares[i]);
		}
	}
	return (uint32_t)(this->sent - before);
}
