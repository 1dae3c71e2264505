/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "stamp.h"
#include "correction.h"
#include "crypto.h"
#include "slots.h"
#include "stamp_mask.h"
#include "stamp_window.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/** SPI, number, IV, the shortest ciphertext and the shortest ICV */
#define ESP_BYTES_MIN (STAMP_ESP_BYTES + 2 + 8)

/** Reasons to refuse a packet, as the caller numbers them, in the order of native-stamper.ts */
typedef enum {
	REFUSE_MALFORMED,
	REFUSE_EPOCH,
	REFUSE_CHECK,
	REFUSE_SENDER,
	REFUSE_REPEAT,
	REFUSE_NO_NUMBER,
	REFUSE_COUNT,
} refusal_t;

typedef struct {
	uint32_t spi;
	uint32_t group;
	stamp_mask_t mask;
	correction_t correction;
	/** two, so that whatever the caller does no IV leaves twice */
	stamp_windows_t accepted;
	stamp_windows_t stamped;
} stamper_sa_t;

/** Packets that came to be stamped, side by side */
typedef struct {
	stamp_place_t places[STAMP_GROUP];
	struct {
		stamper_sa_t *sa;
		uint64_t counter;
		uint32_t index;
		uint16_t sender;
	} of[STAMP_GROUP];
	size_t count;
} arrivals_t;

static void destroy(void *context)
{
	stamper_sa_t *this = context;

	stamp_mask_wipe(&this->mask);
	correction_wipe(&this->correction);
	stamp_windows_free(&this->accepted);
	stamp_windows_free(&this->stamped);
	OPENSSL_cleanse(this, sizeof(*this));
	free(this);
}

static const slots_kind_t kind = {
	.name = "no table of stamperCreate()",
	.tag = { 0x64766970615f7374, 0x616d7065725f7462 },
	.destroy = destroy,
	.verdicts = REFUSE_COUNT,
};

napi_value stamper_create(napi_env env, napi_callback_info info)
{
	VECTOR_ARGS(env, info, 1);
	return slots_create(env, &kind, argv[0]);
}

/** shape: SPI, group, epoch, bytes of the ICV, whether there is ESN */
#define SHAPE_ENTRIES 5

napi_value stamper_install(napi_env env, napi_callback_info info)
{
	slots_t *table;
	stamper_sa_t *sa;

	VECTOR_ARGS(env, info, 6);
	table = slots_get(env, argv[0], &kind);
	if (!table)
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 1, slot);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, shape);
	VECTOR_ARG_ARRAY(env, 3, napi_uint8_array, uint8_t, key);
	VECTOR_ARG_ARRAY(env, 4, napi_uint8_array, uint8_t, link);
	VECTOR_ARG_ARRAY(env, 5, napi_uint8_array, uint8_t, check);
	VECTOR_CHECK(env, shape_entries == SHAPE_ENTRIES && shape[3] >= 8 &&
				 shape[3] <= 16 && shape[3] % 4 == 0 && shape[4] <= 1,
				 "no shape of an SA");
	VECTOR_CHECK(env, link_entries == STAMP_KEY_BYTES &&
				 check_entries == STAMP_KEY_BYTES, "a stamp key has 16 bytes");
	VECTOR_CHECK(env, (sa = calloc(1, sizeof(*sa))), "out of memory");
	sa->spi = shape[0];
	sa->group = shape[1];
	if (!stamp_mask_init(&sa->mask, link, check, shape[2], (uint8_t)shape[3]) ||
		!correction_init(&sa->correction, key, key_entries, shape[4]) ||
		!slots_put(table, slot, sa))
	{
		destroy(sa);
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT",
							  "the key or the slot does not fit");
	}
	return NULL;
}

napi_value stamper_remove(napi_env env, napi_callback_info info)
{
	return slots_remove(env, info, &kind);
}

/** The arguments that both steps begin with */
typedef struct {
	slots_t *table;
	vector_t vector;
	int32_t *slot;
	uint32_t count;
} stamper_batch_t;

static bool get_batch(napi_env env, const napi_value argv[], stamper_batch_t *this)
{
	return slots_get_batch(env, argv, &kind, &this->table, &this->vector,
						   &this->slot, &this->count);
}

static void refuse(stamper_batch_t *this, uint32_t i, refusal_t why)
{
	this->vector.verdict[i] = this->table->verdicts[why];
}

/** Whether packet i is in the slab, and long enough to be one */
static inline bool is_inside(const stamper_batch_t *this, uint32_t i)
{
	const uint32_t length = this->vector.length[i];

	return length >= STAMP_HEADER_BYTES + ESP_BYTES_MIN &&
		   (uint64_t)this->vector.offset[i] + length <= this->vector.slab_bytes;
}

/** Packets that are fetched into the cache before they are looked at */
#define AHEAD 8

/** Have the CPU fetch both ends of a packet that comes soon */
static inline void fetch_ahead(const stamper_batch_t *this, uint32_t i)
{
	const uint32_t next = i + AHEAD;

	if (next < this->count && is_inside(this, next))
	{
		const uint8_t *start = this->vector.slab + this->vector.offset[next];

		__builtin_prefetch(start);
		__builtin_prefetch(start + this->vector.length[next] - 1);
	}
}

/**
 * Read the header of packet i and find its ICV, before anything is verified, into the place behind the
 * group's last.
 *
 * @return			false: it was refused
 */
static bool read_arrival(stamper_batch_t *this, uint32_t i, arrivals_t *group)
{
	const size_t n = group->count;
	stamp_place_t *place = &group->places[n];
	uint8_t *start, *iv;
	stamper_sa_t *sa = slots_at(this->table, this->slot[i]);
	long bytes;

	if (!sa)
	{
		refuse(this, i, REFUSE_CHECK);
		return false;
	}
	if (!is_inside(this, i))
	{
		refuse(this, i, REFUSE_MALFORMED);
		return false;
	}
	start = this->vector.slab + this->vector.offset[i];
	if (start[0] != STAMP_VERSION || (start[1] & ~STAMP_DONT_FRAGMENT))
	{
		refuse(this, i, REFUSE_MALFORMED);
		return false;
	}
	place->esp = start + STAMP_HEADER_BYTES;
	iv = place->esp + ESP_HEADER_BYTES;
	group->of[n].index = i;
	group->of[n].sender = (uint16_t)(iv[0] << 8 | iv[1]);
	group->of[n].counter = (uint64_t)(iv[2] << 8 | iv[3]) << 32 | read_be32(iv + 4);
	if (read_be32(place->esp + 4) || !group->of[n].sender || !group->of[n].counter)
	{
		refuse(this, i, REFUSE_MALFORMED);
		return false;
	}
	group->of[n].sa = sa;
	place->mask = &sa->mask;
	place->icv = start + this->vector.length[i] - sa->mask.icv_bytes;
	bytes = stamp_ciphertext_bytes(place);
	if (bytes < 1 || bytes > STAMP_CIPHERTEXT_MAX)
	{
		refuse(this, i, REFUSE_MALFORMED);
		return false;
	}
	return true;
}

/** Whether packet n says that it is of its SA: two may have one SPI */
static bool is_of_sa(const arrivals_t *group, size_t n)
{
	const uint8_t *esp = group->places[n].esp;

	return read_be32(esp) == group->of[n].sa->spi &&
		   read_be32(esp - STAMP_HEADER_BYTES + 4) == group->of[n].sa->group;
}

/** One comparison of one word, so in constant time */
static bool has_check(const stamp_place_t *place, const aes_block_t *expected)
{
	uint64_t carried, wanted;

	memcpy(&carried, place->esp - STAMP_CHECK_BYTES, STAMP_CHECK_BYTES);
	memcpy(&wanted, expected->bytes, STAMP_CHECK_BYTES);
	return carried == wanted;
}

/** Judge the group by what its packets carry, and begin another */
static void accept_group(stamper_batch_t *this, arrivals_t *group,
						 const uint16_t senders[])
{
	aes_block_t checks[STAMP_GROUP];

	stamp_mask_check(group->places, group->count, checks);
	for (size_t n = 0; n < group->count; n++)
	{
		const uint32_t i = group->of[n].index;

		if (!has_check(&group->places[n], &checks[n]))
		{
			refuse(this, i, REFUSE_CHECK);
		}
		else if (group->of[n].sender != senders[i])
		{
			refuse(this, i, REFUSE_SENDER);
		}
		else if (!stamp_windows_mark(&group->of[n].sa->accepted,
									 group->of[n].sender, group->of[n].counter))
		{
			refuse(this, i, REFUSE_REPEAT);
		}
	}
	OPENSSL_cleanse(checks, sizeof(checks));
	group->count = 0;
}

napi_value stamper_accept(napi_env env, napi_callback_info info)
{
	stamper_batch_t this = {};
	arrivals_t group;

	VECTOR_ARGS(env, info, 9);
	if (!get_batch(env, argv, &this))
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 7, epoch);
	VECTOR_ARG_ARRAY(env, 8, napi_uint16_array, uint16_t, senders);
	VECTOR_CHECK(env, this.count <= senders_entries,
				 "more packets than the arrays have");
	group.count = 0;
	for (uint32_t i = 0; i < this.count; i++)
	{
		fetch_ahead(&this, i);
		if (this.vector.verdict[i] || !read_arrival(&this, i, &group))
		{
			continue;
		}
		if (epoch != group.of[group.count].sa->mask.epoch)
		{
			refuse(&this, i, REFUSE_EPOCH);
		}
		else if (!is_of_sa(&group, group.count))
		{
			refuse(&this, i, REFUSE_CHECK);
		}
		else if (++group.count == STAMP_GROUP)
		{
			accept_group(&this, &group, senders);
		}
	}
	accept_group(&this, &group, senders);
	return NULL;
}

/** May this number be given to a packet? */
static bool is_number(const stamper_sa_t *sa, uint32_t high, uint32_t low)
{
	return sa->correction.has_esn ? high || low : !high && low;
}

/** Give the group's packets their numbers, and begin another */
static void stamp_group(stamper_batch_t *this, arrivals_t *group,
						const uint32_t highs[], const uint32_t lows[])
{
	aes_block_t pads[STAMP_GROUP], correction;

	stamp_mask_pads(group->places, group->count, pads);
	for (size_t n = 0; n < group->count; n++)
	{
		const stamp_place_t *place = &group->places[n];
		const uint32_t i = group->of[n].index;
		const uint32_t bytes = (uint32_t)stamp_ciphertext_bytes(place);

		if (!correction_of(&group->of[n].sa->correction, highs[i], lows[i],
						   (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES, &correction))
		{
			refuse(this, i, REFUSE_CHECK);
			continue;
		}
		/* in one step: the ICV of number 0 is nowhere for a moment */
		aes_xor(&pads[n], correction.bytes);
		stamp_xor_icv(place->icv, &pads[n], place->mask->icv_bytes);
		write_be32(place->esp + 4, lows[i]);
		this->vector.offset[i] += STAMP_HEADER_BYTES;
		this->vector.length[i] -= STAMP_HEADER_BYTES;
	}
	OPENSSL_cleanse(pads, sizeof(pads));
	group->count = 0;
}

napi_value stamper_stamp(napi_env env, napi_callback_info info)
{
	stamper_batch_t this = {};
	arrivals_t group;

	VECTOR_ARGS(env, info, 9);
	if (!get_batch(env, argv, &this))
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 7, napi_uint32_array, uint32_t, high);
	VECTOR_ARG_ARRAY(env, 8, napi_uint32_array, uint32_t, low);
	VECTOR_CHECK(env, this.count <= high_entries && this.count <= low_entries,
				 "more packets than the arrays have");
	group.count = 0;
	for (uint32_t i = 0; i < this.count; i++)
	{
		const size_t n = group.count;

		fetch_ahead(&this, i);
		if (this.vector.verdict[i] || !read_arrival(&this, i, &group))
		{
			continue;
		}
		if (!is_of_sa(&group, n))
		{
			refuse(&this, i, REFUSE_CHECK);
		}
		else if (!is_number(group.of[n].sa, high[i], low[i]))
		{
			refuse(&this, i, REFUSE_NO_NUMBER);
		}
		else if (!stamp_windows_mark(&group.of[n].sa->stamped,
									 group.of[n].sender, group.of[n].counter))
		{
			refuse(&this, i, REFUSE_REPEAT);
		}
		else if (++group.count == STAMP_GROUP)
		{
			stamp_group(&this, &group, high, low);
		}
	}
	stamp_group(&this, &group, high, low);
	return NULL;
}
