/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * ESP around what protects it (RFC 4303 sections 3.3 and 3.4.4), word for word
 * what src/ipsec/esp-node-crypto.ts does, which says why:
 *
 *   SPI | sequence number | IV | payload | 1 2 3 .. n | n | next header | ICV
 */

#include "mb.h"

/** IPv6-NoNxt: a dummy packet (RFC 4303 section 2.6) */
#define NO_NEXT_HEADER 59

/** The arrays of a CryptoBatch */
typedef struct {
	table_t *table;
	vector_t vector;
	int32_t *slot;
	uint32_t *high;
	uint32_t *low;
	/** seal only */
	uint32_t *iv_high;
	uint32_t *iv_low;
	/** bytes that nobody can predict, a block for each packet: its IV, if that is drawn */
	const uint8_t *random;
	size_t random_bytes;
	bool is_numbered;
	uint8_t *next_header;
	uint32_t count;
	/** of all packets, the sum of sa_cost() */
	uint64_t cost;
} batch_t;

/** Additional data of an AEAD (RFC 4106 section 5) */
static void write_aad(place_t *place)
{
	const suite_t *suite = &place->sa->suite;

	write_be32(place->aad, suite->spi);
	if (!suite->has_esn)
	{
		write_be32(place->aad + 4, place->low);
		place->aad_bytes = 8;
		return;
	}
	write_be32(place->aad + 4, place->high);
	write_be32(place->aad + 8, place->low);
	place->aad_bytes = 12;
}

/** The SA of packet i; NULL with a verdict on the packet if there is none */
static sa_t *sa_of(batch_t *this, uint32_t i)
{
	sa_t *sa = table_sa(this->table, this->slot[i]);

	if (!sa)
	{
		this->vector.verdict[i] = this->table->verdicts[VERDICT_UNKNOWN_SPI];
	}
	return sa;
}

/** Before the first packet is touched: room for the longest one, and random bytes for all */
static bool prepare(batch_t *this, const char **problem)
{
	uint32_t longest = 0;
	bool draws = false;

	for (uint32_t i = 0; i < this->count; i++)
	{
		uint32_t length = this->vector.length[i];
		const sa_t *sa = this->vector.verdict[i] ? NULL
						 : table_sa(this->table, this->slot[i]);

		if (!sa)
		{
			continue;
		}
		if (length > longest && length <= PACKET_BYTES_MAX &&
			length <= this->vector.slab_bytes)
		{
			longest = length;
		}
		draws |= sa->suite.iv == IV_RANDOM;
		this->cost += sa_cost(sa, length);
	}
	if (this->iv_high && draws && this->random_bytes / BLOCK_BYTES < this->count)
	{
		*problem = "too few random bytes";
		return false;
	}
	*problem = "no memory";
	for (unsigned i = 0; i < this->table->worker_count; i++)
	{
		/* what sealing adds: header, IV, padding, trailer */
		if (!worker_reserve(&this->table->workers[i], (size_t)longest + 64))
		{
			return false;
		}
	}
	return true;
}

/** Find the parts of packet i, that is to be opened; the verdict on it */
static int place_sealed(batch_t *this, uint32_t i, place_t *place)
{
	const uint8_t *verdicts = this->table->verdicts;
	const suite_t *suite = &place->sa->suite;
	uint64_t start = this->vector.offset[i], length = this->vector.length[i];
	uint64_t payload = start + ESP_HEADER_BYTES + suite->iv_bytes;
	uint64_t end = start + length;

	if (payload + ESP_TRAILER_BYTES + suite->icv_bytes > end ||
		end > this->vector.slab_bytes || length > PACKET_BYTES_MAX)
	{
		return verdicts[VERDICT_TRUNCATED];
	}
	place->index = i;
	place->start = this->vector.slab + start;
	place->payload = this->vector.slab + payload;
	place->icv = this->vector.slab + end - suite->icv_bytes;
	if (suite->align == BLOCK_BYTES && (place->icv - place->payload) % BLOCK_BYTES)
	{
		return verdicts[VERDICT_MALFORMED];
	}
	if (read_be32(place->start) != suite->spi)
	{
		return verdicts[VERDICT_UNKNOWN_SPI];
	}
	place->high = suite->has_esn ? this->high[i] : 0;
	place->low = read_be32(place->start + 4);
	write_aad(place);
	return 0;
}

/** Length of the payload without its trailer, or -1 if the padding is not 1, 2, 3 .. */
static int64_t stripped(const place_t *place)
{
	uint8_t padding = place->icv[-2];
	const uint8_t *end = place->icv - ESP_TRAILER_BYTES - padding;

	if (place->icv - place->payload < ESP_TRAILER_BYTES + padding)
	{
		return -1;
	}
	for (uint32_t i = 0; i < padding; i++)
	{
		if (end[i] != i + 1)
		{
			return -1;
		}
	}
	return end - place->payload;
}

/** What is told of a packet that was opened; the verdict on it */
static int settle_opened(batch_t *this, const place_t *place)
{
	const uint8_t *verdicts = this->table->verdicts;
	uint32_t i = place->index;
	int64_t length;

	if (!place->is_done)
	{
		return verdicts[VERDICT_ICV];
	}
	this->high[i] = place->high;
	this->low[i] = place->low;
	length = stripped(place);
	if (length < 0)
	{
		return verdicts[VERDICT_PADDING];
	}
	this->vector.offset[i] = place->payload - this->vector.slab;
	this->vector.length[i] = length;
	this->next_header[i] = place->icv[-1];
	return place->icv[-1] == NO_NEXT_HEADER ? verdicts[VERDICT_DUMMY] : 0;
}

/** Open packets from .. to, and count those that were genuine and well formed */
static void open_part(void *batch, worker_t *worker, uint32_t from, uint32_t to)
{
	batch_t *this = batch;
	place_t places[PART_MAX];
	uint32_t count = 0;

	for (uint32_t i = from; i < to; i++)
	{
		place_t *place = &places[count];

		if (this->vector.verdict[i] || !(place->sa = sa_of(this, i)))
		{
			continue;
		}
		this->vector.verdict[i] = place_sealed(this, i, place);
		count += this->vector.verdict[i] == 0;
	}
	for (uint32_t i = 0; i < count; i++)
	{
		places[i].is_pending = false;
		places[i].sa->open(places[i].sa, &places[i], worker);
	}
	mb_flush(worker);
	for (uint32_t i = 0; i < count; i++)
	{
		int verdict;

		if (places[i].is_pending)
		{
			places[i].sa->opened(places[i].sa, &places[i], worker);
		}
		verdict = settle_opened(this, &places[i]);

		this->vector.verdict[places[i].index] = verdict;
		worker->opened += verdict == 0 ||
						  verdict == this->table->verdicts[VERDICT_DUMMY];
	}
}

/** Number 0 is never sent (RFC 4303 section 2.2), and without ESN nothing follows 2^32 - 1 (section 3.3.3) */
static bool has_number(const batch_t *this, uint32_t i, const suite_t *suite)
{
	return this->high[i] ? suite->has_esn : this->low[i] != 0;
}

/** Write the IV in front of the payload */
static void write_iv(const batch_t *this, const place_t *place)
{
	const suite_t *suite = &place->sa->suite;
	uint8_t *iv = place->payload - suite->iv_bytes;

	switch (suite->iv)
	{
		case IV_NUMBERED:
			write_be32(iv, this->iv_high[place->index]);
			write_be32(iv + 4, this->iv_low[place->index]);
			break;
		case IV_RANDOM:
			/* prepare() has seen that there are as many */
			memcpy(iv, this->random + (size_t)place->index * BLOCK_BYTES, BLOCK_BYTES);
			break;
		default:
			break;
	}
}

/** Frame packet i, that is to be sealed: all but what its SA does; the verdict on it */
static int frame(batch_t *this, uint32_t i, place_t *place)
{
	const uint8_t *verdicts = this->table->verdicts;
	const suite_t *suite = &place->sa->suite;
	uint64_t payload = this->vector.offset[i], length = this->vector.length[i];
	uint32_t head = ESP_HEADER_BYTES + suite->iv_bytes;
	uint32_t padding = (suite->align - (length + ESP_TRAILER_BYTES) % suite->align) %
					   suite->align;
	uint64_t icv = payload + length + padding + ESP_TRAILER_BYTES;

	if (this->is_numbered && !has_number(this, i, suite))
	{
		return verdicts[VERDICT_NO_NUMBER];
	}
	if (payload < head || icv + suite->icv_bytes > this->vector.slab_bytes ||
		length > PACKET_BYTES_MAX)
	{
		return verdicts[VERDICT_TOO_BIG];
	}
	/* a nonce must never repeat */
	if (suite->iv == IV_NUMBERED && !this->iv_high[i] && !this->iv_low[i])
	{
		return verdicts[VERDICT_NO_NUMBER];
	}
	place->index = i;
	place->start = this->vector.slab + payload - head;
	place->payload = this->vector.slab + payload;
	place->icv = this->vector.slab + icv;
	place->high = this->is_numbered ? this->high[i] : 0;
	place->low = this->is_numbered ? this->low[i] : 0;
	write_aad(place);
	write_iv(this, place);
	write_be32(place->start, suite->spi);
	write_be32(place->start + 4, place->low);
	for (uint32_t n = 0; n < padding; n++)
	{
		place->payload[length + n] = n + 1;
	}
	place->icv[-2] = padding;
	place->icv[-1] = this->next_header[i];
	return 0;
}

/** Seal packets from .. to */
static void seal_part(void *batch, worker_t *worker, uint32_t from, uint32_t to)
{
	batch_t *this = batch;
	place_t places[PART_MAX];
	uint32_t count = 0;

	for (uint32_t i = from; i < to; i++)
	{
		place_t *place = &places[count];

		if (this->vector.verdict[i] || !(place->sa = sa_of(this, i)))
		{
			continue;
		}
		this->vector.verdict[i] = frame(this, i, place);
		count += this->vector.verdict[i] == 0;
	}
	for (uint32_t i = 0; i < count; i++)
	{
		places[i].is_pending = false;
		places[i].sa->seal(places[i].sa, &places[i], worker);
	}
	mb_flush(worker);
	for (uint32_t i = 0; i < count; i++)
	{
		place_t *place = &places[i];
		uint32_t length = place->icv + place->sa->suite.icv_bytes - place->start;

		if (place->is_pending)
		{
			place->sa->sealed(place->sa, place);
		}
		this->vector.offset[place->index] = place->start - this->vector.slab;
		this->vector.length[place->index] = length;
		if (!place->is_done)
		{
			memset(place->start, 0, length);
			this->vector.verdict[place->index] = this->table->verdicts[VERDICT_FAILED];
		}
	}
}

napi_value esp_open(napi_env env, napi_callback_info info)
{
	batch_t batch = {};
	uint32_t opened = 0;
	const char *problem;
	napi_value result;

	VECTOR_ARGS(env, info, 10);
	batch.table = table_get(env, argv[0]);
	if (!batch.table)
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, offset);
	VECTOR_ARG_ARRAY(env, 3, napi_uint32_array, uint32_t, length);
	VECTOR_ARG_ARRAY(env, 4, napi_int32_array, int32_t, slot);
	VECTOR_ARG_ARRAY(env, 5, napi_uint32_array, uint32_t, high);
	VECTOR_ARG_ARRAY(env, 6, napi_uint32_array, uint32_t, low);
	VECTOR_ARG_ARRAY(env, 7, napi_uint8_array, uint8_t, next_header);
	VECTOR_ARG_ARRAY(env, 8, napi_uint8_array, uint8_t, verdict);
	VECTOR_ARG_UINT32(env, 9, count);
	VECTOR_CHECK(env, count <= offset_entries && count <= length_entries &&
				 count <= slot_entries && count <= high_entries &&
				 count <= low_entries && count <= next_header_entries &&
				 count <= verdict_entries, "an array is shorter than count");
	batch.vector = (vector_t){
		.slab = slab, .slab_bytes = slab_entries,
		.offset = offset, .length = length, .verdict = verdict, .entries = count,
	};
	batch.slot = slot;
	batch.high = high;
	batch.low = low;
	batch.next_header = next_header;
	batch.count = count;
	VECTOR_CHECK(env, prepare(&batch, &problem), problem);
	table_share(batch.table, open_part, &batch, count, batch.cost);
	for (unsigned i = 0; i < batch.table->worker_count; i++)
	{
		opened += batch.table->workers[i].opened;
		batch.table->workers[i].opened = 0;
	}
	VECTOR_TRY(env, napi_create_uint32(env, opened, &result));
	return result;
}

napi_value esp_seal(napi_env env, napi_callback_info info)
{
	batch_t batch = {};
	const char *problem;

	VECTOR_ARGS(env, info, 14);
	batch.table = table_get(env, argv[0]);
	if (!batch.table)
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, offset);
	VECTOR_ARG_ARRAY(env, 3, napi_uint32_array, uint32_t, length);
	VECTOR_ARG_ARRAY(env, 4, napi_int32_array, int32_t, slot);
	VECTOR_ARG_ARRAY(env, 5, napi_uint32_array, uint32_t, high);
	VECTOR_ARG_ARRAY(env, 6, napi_uint32_array, uint32_t, low);
	VECTOR_ARG_ARRAY(env, 7, napi_uint32_array, uint32_t, iv_high);
	VECTOR_ARG_ARRAY(env, 8, napi_uint32_array, uint32_t, iv_low);
	VECTOR_ARG_ARRAY(env, 9, napi_uint8_array, uint8_t, next_header);
	VECTOR_ARG_ARRAY(env, 10, napi_uint8_array, uint8_t, verdict);
	VECTOR_ARG_UINT32(env, 11, count);
	VECTOR_CHECK(env, napi_get_value_bool(env, argv[12], &batch.is_numbered) == napi_ok,
				 "isNumbered must be a boolean");
	VECTOR_ARG_ARRAY(env, 13, napi_uint8_array, uint8_t, random);
	VECTOR_CHECK(env, count <= offset_entries && count <= length_entries &&
				 count <= slot_entries && count <= high_entries &&
				 count <= low_entries && count <= iv_high_entries &&
				 count <= iv_low_entries && count <= next_header_entries &&
				 count <= verdict_entries, "an array is shorter than count");
	batch.vector = (vector_t){
		.slab = slab, .slab_bytes = slab_entries,
		.offset = offset, .length = length, .verdict = verdict, .entries = count,
	};
	batch.slot = slot;
	batch.high = high;
	batch.low = low;
	batch.iv_high = iv_high;
	batch.iv_low = iv_low;
	batch.random = random;
	batch.random_bytes = random_entries;
	batch.next_header = next_header;
	batch.count = count;
	VECTOR_CHECK(env, prepare(&batch, &problem), problem);
	table_share(batch.table, seal_part, &batch, count, batch.cost);
	return NULL;
}
