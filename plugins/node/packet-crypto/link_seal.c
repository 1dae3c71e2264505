/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * The seal of the trusted link, on packets that src/ipsec/link-seal.ts has
 * framed: it numbers them, and knows which may be opened. One key a call.
 *
 *   key id | counter (8) | encrypted: header (8) and inner packet | tag (16)
 *
 * So a key is an SA of AES-256-GCM whose salt is the key id and whose IV is the
 * counter.
 */

#include "crypto.h"

#define KEY_ID_BYTES 4
#define COUNTER_BYTES 8
#define CLEAR_BYTES (KEY_ID_BYTES + COUNTER_BYTES)
#define HEADER_BYTES 8
#define TAG_BYTES 16
#define LINK_BYTES_MIN (CLEAR_BYTES + HEADER_BYTES + TAG_BYTES)

/** Packets of a vector, those that are marked, under one key */
typedef struct {
	table_t *table;
	sa_t *key;
	vector_t vector;
	const uint8_t *marked;
	uint32_t count;
	uint32_t epoch;
	/** of all, the sum of sa_cost() */
	uint64_t cost;
} batch_t;

/** The arguments; NULL with a pending exception */
static batch_t *get_batch(napi_env env, napi_callback_info info, batch_t *this)
{
	VECTOR_ARGS(env, info, 9);
	this->table = table_get(env, argv[0]);
	if (!this->table)
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 1, slot);
	VECTOR_ARG_ARRAY(env, 2, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_ARRAY(env, 3, napi_uint32_array, uint32_t, offset);
	VECTOR_ARG_ARRAY(env, 4, napi_uint32_array, uint32_t, length);
	VECTOR_ARG_ARRAY(env, 5, napi_uint8_array, uint8_t, verdict);
	VECTOR_ARG_ARRAY(env, 6, napi_uint8_array, uint8_t, marked);
	VECTOR_ARG_UINT32(env, 7, count);
	VECTOR_ARG_UINT32(env, 8, epoch);
	VECTOR_CHECK(env, count <= offset_entries && count <= length_entries &&
				 count <= verdict_entries && count <= marked_entries,
				 "an array is shorter than count");
	this->key = slot <= INT32_MAX ? table_sa(this->table, (int32_t)slot) : NULL;
	VECTOR_CHECK(env, !this->key || (this->key->suite.kind == KIND_AEAD &&
				 this->key->suite.iv_bytes == COUNTER_BYTES &&
				 this->key->suite.icv_bytes == TAG_BYTES), "no link key");
	this->vector = (vector_t){
		.slab = slab, .slab_bytes = slab_entries,
		.offset = offset, .length = length, .verdict = verdict, .entries = count,
	};
	this->marked = marked;
	this->count = count;
	this->epoch = epoch;
	return this;
}

/** Whether packet i is worked on */
static inline bool is_meant(const batch_t *this, uint32_t i)
{
	return this->marked[i] && !this->vector.verdict[i];
}

/** Whether packet i is in the slab, and long enough to be one */
static inline bool is_inside(const batch_t *this, uint32_t i)
{
	const uint32_t length = this->vector.length[i];

	return length >= LINK_BYTES_MIN && length <= PACKET_BYTES_MAX &&
		   (uint64_t)this->vector.offset[i] + length <= this->vector.slab_bytes;
}

/** Before the first packet is touched: room for the longest */
static bool prepare(batch_t *this)
{
	uint32_t longest = 0;

	for (uint32_t i = 0; i < this->count; i++)
	{
		if (!this->key || !is_meant(this, i) || !is_inside(this, i))
		{
			continue;
		}
		longest = this->vector.length[i] > longest ? this->vector.length[i] : longest;
		this->cost += sa_cost(this->key, this->vector.length[i]);
	}
	for (unsigned i = 0; i < this->table->worker_count; i++)
	{
		if (!worker_reserve(&this->table->workers[i], longest))
		{
			return false;
		}
	}
	return true;
}

static void refuse(batch_t *this, uint32_t i, verdict_name_t why)
{
	this->vector.verdict[i] = this->table->verdicts[why];
}

/** Find the parts of packet i; false: it was refused, for why if it is not inside */
static bool place_packet(batch_t *this, uint32_t i, verdict_name_t why,
						 place_t *place)
{
	if (!this->key)
	{
		refuse(this, i, VERDICT_UNKNOWN_SPI);
		return false;
	}
	if (!is_inside(this, i))
	{
		refuse(this, i, why);
		return false;
	}
	place->sa = this->key;
	place->index = i;
	place->is_done = place->is_pending = false;
	place->start = this->vector.slab + this->vector.offset[i];
	place->payload = place->start + CLEAR_BYTES;
	place->icv = place->start + this->vector.length[i] - TAG_BYTES;
	if (read_be32(place->start) != this->key->suite.spi)
	{
		refuse(this, i, VERDICT_UNKNOWN_SPI);
		return false;
	}
	write_be32(place->aad, this->epoch);
	memcpy(place->aad + 4, place->start, CLEAR_BYTES);
	place->aad_bytes = 4 + CLEAR_BYTES;
	return true;
}

static void seal_part(void *batch, worker_t *worker, uint32_t from, uint32_t to)
{
	batch_t *this = batch;
	place_t place;

	for (uint32_t i = from; i < to; i++)
	{
		if (!is_meant(this, i) ||
			!place_packet(this, i, VERDICT_TOO_BIG, &place))
		{
			continue;
		}
		this->key->seal(this->key, &place, worker);
		if (!place.is_done)
		{
			memset(place.start, 0, this->vector.length[i]);
			refuse(this, i, VERDICT_FAILED);
		}
	}
}

static void open_part(void *batch, worker_t *worker, uint32_t from, uint32_t to)
{
	batch_t *this = batch;
	place_t place;

	for (uint32_t i = from; i < to; i++)
	{
		if (!is_meant(this, i) ||
			!place_packet(this, i, VERDICT_TRUNCATED, &place))
		{
			continue;
		}
		this->key->open(this->key, &place, worker);
		if (!place.is_done)
		{
			refuse(this, i, VERDICT_ICV);
		}
	}
}

static napi_value run(napi_env env, napi_callback_info info, table_part_t part)
{
	batch_t this = {};

	if (!get_batch(env, info, &this))
	{
		return NULL;
	}
	VECTOR_CHECK(env, prepare(&this), "no memory");
	table_share(this.table, part, &this, this.count, this.cost);
	return NULL;
}

napi_value link_seal(napi_env env, napi_callback_info info)
{
	return run(env, info, seal_part);
}

napi_value link_open(napi_env env, napi_callback_info info)
{
	return run(env, info, open_part);
}
