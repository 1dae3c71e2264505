/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "stamp.h"
#include "bound.h"
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
	/** the header's first words, but for its hints, and ESP's: as every packet has them */
	uint64_t head;
	uint64_t esp;
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
		/** sender id and counter */
		uint64_t iv;
		uint32_t index;
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
	sa->head = (uint64_t)STAMP_VERSION << 56 | shape[1];
	sa->esp = (uint64_t)shape[0] << 32;
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

/** What both steps work on: numbers, and the ids of the senders */
enum { HIGH, LOW, SENDERS };

static const bound_kind_t binding = {
	.table = &kind,
	.others = 3,
	.other = { [HIGH] = { napi_uint32_array, 1 }, [LOW] = { napi_uint32_array, 1 },
			   [SENDERS] = { napi_uint16_array, 1 } },
};

napi_value stamper_bind(napi_env env, napi_callback_info info)
{
	return bound_create(env, info, &binding);
}

static inline void refuse(const bound_t *this, uint32_t i, refusal_t why)
{
	this->vector.verdict[i] = this->table->verdicts[why];
}

/** Whether packet i is in the slab, and long enough to be one */
static inline bool is_inside(const bound_t *this, uint32_t i)
{
	const uint32_t length = this->vector.length[i];

	return length >= STAMP_HEADER_BYTES + ESP_BYTES_MIN &&
		   (uint64_t)this->vector.offset[i] + length <= this->vector.slab_bytes;
}

/** Packets that are fetched into the cache before they are looked at */
#define AHEAD 8

/** Have the CPU fetch both ends of a packet that comes soon, wherever it says that it is: no address is wrong for that */
static inline void fetch_ahead(const bound_t *this, uint32_t i, uint32_t count)
{
	const uint32_t next = i + AHEAD;

	if (next < count)
	{
		const uintptr_t start = (uintptr_t)this->vector.slab +
								this->vector.offset[next];

		__builtin_prefetch((const void*)start);
		__builtin_prefetch((const void*)(start + this->vector.length[next] - 1));
	}
}

/** In the header's first word: all of the flags that there are, traffic class, hop limit */
#define HINTS ((uint64_t)STAMP_DONT_FRAGMENT << 48 | 0xffffULL << 32)

/**
 * Read the header of packet i, a word at a time, and find its ICV, before anything
 * is verified, into the place behind the group's last.
 *
 * @param epoch		that it came under, NULL: it was accepted before
 * @return			REFUSE_COUNT: it may be worked on
 */
__attribute__((always_inline))
static inline refusal_t read_arrival(const bound_t *this, uint32_t i,
									 const uint32_t *epoch, arrivals_t *group)
{
	const size_t n = group->count;
	stamper_sa_t *sa = slots_at(this->table, this->slot[i]);
	uint8_t *start;
	uint64_t head, esp, iv;
	long bytes;

	if (!sa)
	{
		return REFUSE_CHECK;
	}
	if (!is_inside(this, i))
	{
		return REFUSE_MALFORMED;
	}
	start = this->vector.slab + this->vector.offset[i];
	head = read_be64(start) & ~HINTS;
	esp = read_be64(start + STAMP_HEADER_BYTES);
	iv = read_be64(start + STAMP_HEADER_BYTES + ESP_HEADER_BYTES);
	bytes = (long)this->vector.length[i] - STAMP_HEADER_BYTES - STAMP_ESP_BYTES -
			sa->mask.icv_bytes;
	if (!(iv >> STAMP_COUNTER_BITS) || !(iv & STAMP_COUNTER_MAX) ||
		bytes < 1 || bytes > STAMP_CIPHERTEXT_MAX)
	{
		return REFUSE_MALFORMED;
	}
	if ((head ^ sa->head) | (esp ^ sa->esp))
	{
		/* whatever it is, it is of another SA: two may have one SPI */
		return (head ^ sa->head) >> 32 || (uint32_t)esp ? REFUSE_MALFORMED :
			   epoch && *epoch != sa->mask.epoch ? REFUSE_EPOCH : REFUSE_CHECK;
	}
	if (epoch && *epoch != sa->mask.epoch)
	{
		return REFUSE_EPOCH;
	}
	group->of[n].sa = sa;
	group->of[n].iv = iv;
	group->of[n].index = i;
	group->places[n].mask = &sa->mask;
	group->places[n].esp = start + STAMP_HEADER_BYTES;
	group->places[n].icv = group->places[n].esp + STAMP_ESP_BYTES + bytes;
	group->places[n].bytes = (uint32_t)bytes;
	return REFUSE_COUNT;
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
static void accept_group(bound_t *this, arrivals_t *group)
{
	const uint16_t *senders = this->other[SENDERS];
	stamp_marker_t marker = {};
	aes_block_t checks[STAMP_GROUP];

	stamp_mask_check(group->places, group->count, checks);
	for (size_t n = 0; n < group->count; n++)
	{
		const uint32_t i = group->of[n].index;

		if (!has_check(&group->places[n], &checks[n]))
		{
			refuse(this, i, REFUSE_CHECK);
		}
		else if (group->of[n].iv >> STAMP_COUNTER_BITS != senders[i])
		{
			refuse(this, i, REFUSE_SENDER);
		}
		else if (!stamp_marker_mark(&marker, &group->of[n].sa->accepted,
									group->of[n].iv))
		{
			refuse(this, i, REFUSE_REPEAT);
		}
	}
	stamp_marker_end(&marker);
	OPENSSL_cleanse(checks, sizeof(checks));
	group->count = 0;
}

napi_value stamper_accept(napi_env env, napi_callback_info info)
{
	bound_t *this;
	/* a copy: for all that the compiler knows, a store to a packet may change the original */
	bound_t batch;
	uint32_t count;
	arrivals_t group;

	VECTOR_ARGS(env, info, 3);
	if (!(this = bound_get(env, argv, &binding, &count)))
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 2, epoch);
	batch = *this;
	group.count = 0;
	for (uint32_t i = 0; i < count; i++)
	{
		refusal_t refusal;

		fetch_ahead(&batch, i, count);
		if (batch.vector.verdict[i])
		{
			continue;
		}
		refusal = read_arrival(&batch, i, &epoch, &group);
		if (refusal != REFUSE_COUNT)
		{
			refuse(&batch, i, refusal);
		}
		else if (++group.count == STAMP_GROUP)
		{
			accept_group(this, &group);
		}
	}
	accept_group(this, &group);
	return NULL;
}

/** May this number be given to a packet? */
static inline bool is_number(const stamper_sa_t *sa, uint32_t high, uint32_t low)
{
	return sa->correction.has_esn ? high || low : !high && low;
}

_Static_assert(STAMP_GROUP <= CORRECTED_MAX, "a group is corrected in one go");

/** Mark the group's packets, and refuse those that may not get their number */
static void take_numbers(bound_t *this, const arrivals_t *group,
						 corrections_t *corrections)
{
	const uint32_t *highs = this->other[HIGH], *lows = this->other[LOW];
	stamp_marker_t marker = {};

	for (size_t n = 0; n < group->count; n++)
	{
		const uint32_t i = group->of[n].index;
		stamper_sa_t *sa = group->of[n].sa;

		corrections_add(corrections, &sa->correction, highs[i], lows[i],
						(group->places[n].bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
		if (!is_number(sa, highs[i], lows[i]))
		{
			refuse(this, i, REFUSE_NO_NUMBER);
		}
		else if (!stamp_marker_mark(&marker, &sa->stamped, group->of[n].iv))
		{
			refuse(this, i, REFUSE_REPEAT);
		}
	}
	stamp_marker_end(&marker);
}

/** Give the group's packets their numbers, and begin another */
static void stamp_group(bound_t *this, arrivals_t *group)
{
	const uint32_t *lows = this->other[LOW];
	corrections_t corrections;
	aes_block_t pads[STAMP_GROUP], blocks[STAMP_GROUP];

	corrections.count = 0;
	corrections.longer = 0;
	take_numbers(this, group, &corrections);
	stamp_mask_pads(group->places, group->count, pads);
	corrections_end(&corrections, blocks);
	for (size_t n = 0; n < group->count; n++)
	{
		const stamp_place_t *place = &group->places[n];
		const uint32_t i = group->of[n].index;

		if (this->vector.verdict[i])
		{
			continue;
		}
		/* in one step: the ICV of number 0 is nowhere for a moment */
		aes_xor(&pads[n], blocks[n].bytes);
		stamp_xor_icv(place->icv, &pads[n], place->mask->icv_bytes);
		write_be32(place->esp + 4, lows[i]);
		this->vector.offset[i] += STAMP_HEADER_BYTES;
		this->vector.length[i] -= STAMP_HEADER_BYTES;
	}
	OPENSSL_cleanse(pads, sizeof(pads));
	OPENSSL_cleanse(blocks, sizeof(blocks));
	group->count = 0;
}

napi_value stamper_stamp(napi_env env, napi_callback_info info)
{
	bound_t *this;
	/* a copy: for all that the compiler knows, a store to a packet may change the original */
	bound_t batch;
	uint32_t count;
	arrivals_t group;

	VECTOR_ARGS(env, info, 2);
	if (!(this = bound_get(env, argv, &binding, &count)))
	{
		return NULL;
	}
	batch = *this;
	group.count = 0;
	for (uint32_t i = 0; i < count; i++)
	{
		refusal_t refusal;

		if (batch.vector.verdict[i])
		{
			continue;
		}
		refusal = read_arrival(&batch, i, NULL, &group);
		if (refusal == REFUSE_COUNT &&
			!correction_ready(&group.of[group.count].sa->correction))
		{
			refusal = REFUSE_CHECK;
		}
		if (refusal != REFUSE_COUNT)
		{
			refuse(&batch, i, refusal);
		}
		else if (++group.count == STAMP_GROUP)
		{
			stamp_group(this, &group);
		}
	}
	stamp_group(this, &group);
	return NULL;
}
