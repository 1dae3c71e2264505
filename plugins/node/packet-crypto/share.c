/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * The packets of a vector among the workers of a crew. Each packet is one
 * worker's, whole; who has it makes no difference to what becomes of it.
 */

#include "crypto.h"

#include <openssl/err.h>

/** What costs less, in picoseconds, is done here: others that sleep take some microseconds to be woken, and as many to come */
#define WORTH_SHARING 20000000
/** Of one part, about */
#define PART_COST 4000000
/** Packets that intel-ipsec-mb's jobs do side by side: a part of fewer would leave lanes idle */
#define LANES 16

typedef struct {
	table_t *table;
	table_part_t part;
	void *vector;
	uint32_t count;
	/** packets of one part */
	uint32_t step;
} share_t;

static void do_part(void *arg, unsigned worker, unsigned unit)
{
	const share_t *this = arg;
	const uint32_t from = unit * this->step, rest = this->count - from;

	this->part(this->vector, &this->table->workers[worker], from,
			   rest < this->step ? this->count : from + this->step);
	worker_wipe(&this->table->workers[worker]);
	/* each thread has a queue of errors, which packets that are not genuine may fill */
	ERR_clear_error();
}

/** Packets of one part if workers share all; at least as many as there are lanes, and something for each worker */
static uint32_t step_of(const table_t *table, uint32_t count, uint64_t cost)
{
	const uint32_t least = table->workers[0].jobs ? LANES : 1;
	const uint32_t each = (count + table->crew->workers - 1) / table->crew->workers;
	uint64_t step = count * (uint64_t)PART_COST / cost;

	step = step < each ? step : each;
	step = step > least ? step : least;
	return step < PART_MAX ? (uint32_t)step : PART_MAX;
}

void table_share(table_t *table, table_part_t part, void *vector,
				 uint32_t count, uint64_t cost)
{
	const bool is_shared = table->crew && table->crew->workers > 1 &&
						   cost >= WORTH_SHARING;
	share_t share = {
		.table = table, .part = part, .vector = vector, .count = count,
		.step = is_shared ? step_of(table, count, cost) : PART_MAX,
	};
	const unsigned parts = (count + share.step - 1) / share.step;

	crew_run(is_shared ? table->crew : NULL, do_part, &share, parts);
}
