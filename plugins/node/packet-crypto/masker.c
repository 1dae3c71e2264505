/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "stamp.h"
#include "crypto.h"
#include "slots.h"
#include "stamp_mask.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/** Reasons why a packet is not masked, as the caller numbers them, in the order of native-masker.ts */
typedef enum {
	REFUSE_NO_NUMBER,
	REFUSE_TOO_BIG,
	REFUSE_COUNT,
} refusal_t;

typedef struct {
	uint32_t group;
	stamp_mask_t mask;
} masker_sa_t;

static void destroy(void *context)
{
	masker_sa_t *this = context;

	stamp_mask_wipe(&this->mask);
	free(this);
}

static const slots_kind_t kind = {
	.name = "no table of maskerCreate()",
	.tag = { 0x64766970615f6d61, 0x736b65725f74626c },
	.destroy = destroy,
	.verdicts = REFUSE_COUNT,
};

napi_value masker_create(napi_env env, napi_callback_info info)
{
	VECTOR_ARGS(env, info, 1);
	return slots_create(env, &kind, argv[0]);
}

/** shape: group, epoch, bytes of the ICV */
#define SHAPE_ENTRIES 3

napi_value masker_install(napi_env env, napi_callback_info info)
{
	slots_t *table;
	masker_sa_t *sa;

	VECTOR_ARGS(env, info, 5);
	table = slots_get(env, argv[0], &kind);
	if (!table)
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 1, slot);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, shape);
	VECTOR_ARG_ARRAY(env, 3, napi_uint8_array, uint8_t, link);
	VECTOR_ARG_ARRAY(env, 4, napi_uint8_array, uint8_t, check);
	VECTOR_CHECK(env, shape_entries == SHAPE_ENTRIES && shape[2] >= 8 &&
				 shape[2] <= 16 && shape[2] % 4 == 0, "no shape of an SA");
	VECTOR_CHECK(env, link_entries == STAMP_KEY_BYTES &&
				 check_entries == STAMP_KEY_BYTES, "a stamp key has 16 bytes");
	VECTOR_CHECK(env, (sa = calloc(1, sizeof(*sa))), "out of memory");
	sa->group = shape[0];
	if (!stamp_mask_init(&sa->mask, link, check, shape[1], (uint8_t)shape[2]) ||
		!slots_put(table, slot, sa))
	{
		destroy(sa);
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT",
							  "the key or the slot does not fit");
	}
	return NULL;
}

napi_value masker_remove(napi_env env, napi_callback_info info)
{
	return slots_remove(env, info, &kind);
}

/** An ESP packet, sealed with number 0, that gets a header and a mask */
typedef struct {
	uint32_t index;
	stamp_place_t place;
} sealed_t;

static void mask_group(vector_t *vector, const sealed_t sealed[], size_t count)
{
	stamp_place_t places[STAMP_GROUP] = {};
	aes_block_t pads[STAMP_GROUP], checks[STAMP_GROUP];
	for (size_t n = 0; n < count; n++)
	{
		places[n] = sealed[n].place;
	}
	stamp_mask_pads(places, count, pads);
	for (size_t n = 0; n < count; n++)
	{
		stamp_xor_icv(places[n].icv, &pads[n], places[n].mask->icv_bytes);
	}
	stamp_mask_check(places, count, checks);
	for (size_t n = 0; n < count; n++)
	{
		memcpy(places[n].esp - STAMP_CHECK_BYTES, checks[n].bytes,
			   STAMP_CHECK_BYTES);
		vector->offset[sealed[n].index] -= STAMP_HEADER_BYTES;
		vector->length[sealed[n].index] += STAMP_HEADER_BYTES;
	}
	OPENSSL_cleanse(pads, sizeof(pads));
}

napi_value masker_mask(napi_env env, napi_callback_info info)
{
	slots_t *table;
	vector_t vector = {};
	int32_t *slot;
	uint32_t count;
	sealed_t sealed[STAMP_GROUP];
	size_t ready = 0;

	VECTOR_ARGS(env, info, 10);
	if (!slots_get_batch(env, argv, &kind, &table, &vector, &slot, &count))
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 7, napi_uint8_array, uint8_t, traffic_class);
	VECTOR_ARG_ARRAY(env, 8, napi_uint8_array, uint8_t, hop_limit);
	VECTOR_ARG_ARRAY(env, 9, napi_uint8_array, uint8_t, dont_fragment);
	VECTOR_CHECK(env, count <= traffic_class_entries &&
				 count <= hop_limit_entries && count <= dont_fragment_entries,
				 "more packets than the arrays have");
	VECTOR_CHECK(env, vector_is_inside(&vector, 0, count),
				 "a packet reaches out of the slab or the arrays");
	for (uint32_t i = 0; i < count; i++)
	{
		/* what was sealed with number 0 must not be there without a mask */
		const masker_sa_t *sa = slots_at(table, slot[i]);
		uint8_t *esp, *header;
		stamp_place_t *place = &sealed[ready].place;
		long bytes;

		if (vector.verdict[i])
		{
			continue;
		}
		esp = vector.slab + vector.offset[i];
		if (!sa)
		{
			OPENSSL_cleanse(esp, vector.length[i]);
			vector.verdict[i] = table->verdicts[REFUSE_NO_NUMBER];
			continue;
		}
		bytes = (long)vector.length[i] - STAMP_ESP_BYTES - sa->mask.icv_bytes;
		if (vector.offset[i] < STAMP_HEADER_BYTES || bytes < 1 ||
			bytes > STAMP_CIPHERTEXT_MAX)
		{
			OPENSSL_cleanse(esp, vector.length[i]);
			vector.verdict[i] = table->verdicts[REFUSE_TOO_BIG];
			continue;
		}
		sealed[ready].index = i;
		*place = (stamp_place_t){ .mask = &sa->mask, .esp = esp,
			.icv = esp + STAMP_ESP_BYTES + bytes, .bytes = (uint32_t)bytes };
		header = esp - STAMP_HEADER_BYTES;
		header[0] = STAMP_VERSION;
		header[1] = dont_fragment[i] == 1 ? STAMP_DONT_FRAGMENT : 0;
		header[2] = traffic_class[i];
		header[3] = hop_limit[i];
		write_be32(header + 4, sa->group);
		if (++ready == STAMP_GROUP)
		{
			mask_group(&vector, sealed, ready);
			ready = 0;
		}
	}
	mask_group(&vector, sealed, ready);
	return NULL;
}
