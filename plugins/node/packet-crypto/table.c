/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "crypto.h"
#include "mb.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/** An array of pointers: more slots than anybody has SAs, few enough for its size */
#define SLOTS_MAX (1 << 22)

/** Numbers of the suite in JavaScript: see src/io/native-crypto.ts */
enum {
	SUITE_SPI,
	SUITE_HAS_ESN,
	SUITE_KIND,
	SUITE_IV,
	SUITE_IV_BYTES,
	SUITE_ALIGN,
	SUITE_ICV_BYTES,
	SUITE_MAC,
	SUITE_KEY_BYTES,
	SUITE_ENTRIES,
};

/** Tells our objects from anything else that JavaScript may pass */
static const napi_type_tag table_tag = {
	0x64766970612d6372ULL, 0x3f1c9b2de84a6075ULL
};

static void table_finalize(napi_env env, void *data, void *hint)
{
	table_t *this = data;

	(void)hint;
	for (uint32_t i = 0; i < this->slot_count; i++)
	{
		if (this->slots[i])
		{
			this->slots[i]->destroy(this->slots[i]);
		}
	}
	for (unsigned i = 0; i < this->worker_count; i++)
	{
		mb_close_jobs(&this->workers[i]);
		worker_free_scratch(&this->workers[i]);
	}
	if (this->crew_object)
	{
		napi_delete_reference(env, this->crew_object);
	}
	free(this->workers);
	free(this->slots);
	free(this);
}

/** Give the table workers, as many as the crew has */
static bool make_workers(table_t *this, const struct crew_port *crew)
{
	const unsigned count = crew ? crew->workers : 1;

	this->workers = aligned_alloc(_Alignof(worker_t), count * sizeof(worker_t));
	if (!this->workers)
	{
		return false;
	}
	memset(this->workers, 0, count * sizeof(worker_t));
	for (unsigned i = 0; i < count; i++)
	{
		this->workers[i].index = i;
	}
	this->crew = crew;
	this->worker_count = count;
	return true;
}

napi_value table_create(napi_env env, napi_callback_info info)
{
	const struct crew_port *crew = NULL;
	table_t *this;
	napi_value object;
	napi_valuetype type;
	bool has_mb;

	VECTOR_ARGS(env, info, 3);
	VECTOR_CHECK(env, napi_get_value_bool(env, argv[0], &has_mb) == napi_ok,
				 "hasIpsecMb must be a boolean");
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, verdicts);
	VECTOR_CHECK(env, verdicts_entries == VERDICT_COUNT &&
				 !memchr(verdicts, 0, VERDICT_COUNT),
				 "verdicts must be one for each reason, and none of them 0");
	VECTOR_CHECK(env, !has_mb || !mb_missing(),
				 "intel-ipsec-mb is not there: ask libraries() first");
	VECTOR_TRY(env, napi_typeof(env, argv[2], &type));
	if (type != napi_undefined && !(crew = crew_get(env, argv[2])))
	{
		return NULL;
	}
	VECTOR_TRY(env, napi_create_object(env, &object));
	VECTOR_TRY(env, napi_type_tag_object(env, object, &table_tag));
	this = calloc(1, sizeof(*this));
	VECTOR_CHECK(env, this, "no memory");
	this->has_mb = has_mb;
	memcpy(this->verdicts, verdicts, VERDICT_COUNT);
	if (!make_workers(this, crew) ||
		(crew && napi_create_reference(env, argv[2], 1, &this->crew_object) != napi_ok) ||
		napi_wrap(env, object, this, table_finalize, NULL, NULL) != napi_ok)
	{
		table_finalize(env, this, NULL);
		vector_throw_last(env, "create");
		return NULL;
	}
	return object;
}

table_t *table_get(napi_env env, napi_value object)
{
	bool is_table = false;
	void *this = NULL;
	napi_valuetype type;

	if (napi_typeof(env, object, &type) != napi_ok || type != napi_object ||
		napi_check_object_type_tag(env, object, &table_tag, &is_table) != napi_ok ||
		!is_table || napi_unwrap(env, object, &this) != napi_ok)
	{
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT", "not a table of SAs");
		return NULL;
	}
	return this;
}

sa_t *table_sa(const table_t *this, int32_t slot)
{
	return slot >= 0 && (uint32_t)slot < this->slot_count ? this->slots[slot] : NULL;
}

/** Make the array reach to the slot */
static bool grow(table_t *this, uint32_t slot)
{
	sa_t **bigger;
	uint32_t count = this->slot_count ? this->slot_count : 64;

	while (count <= slot)
	{
		count *= 2;
	}
	if (count == this->slot_count)
	{
		return true;
	}
	bigger = calloc(count, sizeof(*bigger));
	if (!bigger)
	{
		return false;
	}
	if (this->slot_count)
	{
		memcpy(bigger, this->slots, this->slot_count * sizeof(*bigger));
	}
	free(this->slots);
	this->slots = bigger;
	this->slot_count = count;
	return true;
}

/** Put an SA, or NULL, in a slot in place of what it held */
static void replace(table_t *this, uint32_t slot, sa_t *sa)
{
	sa_t *old = this->slots[slot];

	this->slots[slot] = sa;
	if (old)
	{
		old->destroy(old);
	}
}

/** What each kind may be made of; lengths of keys are for the library to judge */
static bool is_sound(const suite_t *suite, const keys_t *keys)
{
	bool has_mac = suite->mac != MAC_NONE;
	size_t nonce = keys->salt.length + suite->iv_bytes;

	if (suite->icv_bytes < 8 || suite->icv_bytes > ICV_BYTES_MAX ||
		suite->icv_bytes % 4 || (suite->align != 4 && suite->align != BLOCK_BYTES))
	{
		return false;
	}
	switch (suite->kind)
	{
		case KIND_AEAD:
		case KIND_GMAC:
			return !has_mac && suite->iv == IV_NUMBERED && suite->iv_bytes == 8 &&
				   nonce <= 12 && suite->icv_bytes <= 16;
		case KIND_CIPHER:
			return has_mac && nonce <= BLOCK_BYTES &&
				   ((suite->iv == IV_NUMBERED && suite->iv_bytes == 8) ||
					(suite->iv == IV_RANDOM && suite->iv_bytes == BLOCK_BYTES));
		case KIND_NULL:
			return has_mac && !nonce && suite->iv == IV_NONE &&
				   !keys->encryption.length;
		default:
			return false;
	}
}

/** Jobs for all workers */
static bool open_jobs(table_t *this)
{
	for (unsigned i = 0; i < this->worker_count; i++)
	{
		if (!mb_open_jobs(&this->workers[i]))
		{
			return false;
		}
	}
	return true;
}

static sa_t *create_sa(table_t *this, const suite_t *suite, const keys_t *keys)
{
	sa_t *sa = NULL;

	if (suite->mac == MAC_NONE)
	{
		sa = this->has_mb ? mb_gcm_create(suite, keys) : NULL;
		return sa ? sa : evp_aead_create(suite, keys, this->worker_count);
	}
	if (this->has_mb && open_jobs(this))
	{
		sa = mb_cipher_create(suite, keys, this->worker_count);
	}
	return sa ? sa : evp_cipher_create(suite, keys, this->worker_count);
}

napi_value table_install(napi_env env, napi_callback_info info)
{
	table_t *this;
	sa_t *sa;
	suite_t suite = {};
	keys_t keys = {};
	size_t len;

	VECTOR_ARGS(env, info, 7);
	this = table_get(env, argv[0]);
	if (!this)
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 1, slot);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, numbers);
	VECTOR_CHECK(env, napi_get_value_string_latin1(env, argv[3], keys.cipher,
				 sizeof(keys.cipher), &len) == napi_ok &&
				 napi_get_value_string_latin1(env, argv[4], keys.primitive,
				 sizeof(keys.primitive), &len) == napi_ok,
				 "cipher and primitive must be strings");
	VECTOR_ARG_ARRAY(env, 5, napi_uint8_array, uint8_t, key);
	VECTOR_ARG_ARRAY(env, 6, napi_uint8_array, uint8_t, integrity);
	VECTOR_CHECK(env, slot < SLOTS_MAX, "the slot is out of range");
	VECTOR_CHECK(env, numbers_entries == SUITE_ENTRIES &&
				 numbers[SUITE_KIND] < KIND_COUNT && numbers[SUITE_IV] < IV_COUNT &&
				 numbers[SUITE_IV_BYTES] <= BLOCK_BYTES &&
				 numbers[SUITE_MAC] < MAC_COUNT &&
				 numbers[SUITE_KEY_BYTES] <= key_entries, "no such suite");
	suite.spi = numbers[SUITE_SPI];
	suite.has_esn = numbers[SUITE_HAS_ESN];
	suite.kind = numbers[SUITE_KIND];
	suite.iv = numbers[SUITE_IV];
	suite.iv_bytes = numbers[SUITE_IV_BYTES];
	suite.align = numbers[SUITE_ALIGN];
	suite.icv_bytes = numbers[SUITE_ICV_BYTES];
	suite.mac = numbers[SUITE_MAC];
	keys.encryption = (chunk_t){ key, numbers[SUITE_KEY_BYTES] };
	keys.salt = (chunk_t){ key + keys.encryption.length,
						   key_entries - keys.encryption.length };
	keys.integrity = (chunk_t){ integrity, integrity_entries };
	VECTOR_CHECK(env, is_sound(&suite, &keys), "the suite does not fit together");
	VECTOR_CHECK(env, grow(this, slot), "no memory");
	sa = create_sa(this, &suite, &keys);
	VECTOR_CHECK(env, sa, "the library has no such suite");
	replace(this, slot, sa);
	return NULL;
}

napi_value table_remove(napi_env env, napi_callback_info info)
{
	table_t *this;

	VECTOR_ARGS(env, info, 2);
	this = table_get(env, argv[0]);
	if (!this)
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 1, slot);
	if (slot < this->slot_count)
	{
		replace(this, slot, NULL);
	}
	return NULL;
}
