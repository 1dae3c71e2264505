/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "bound.h"

#include <stdlib.h>

/** Table, slab, offset, length, saSlot, verdict */
#define COMMON_ARGS 6

static void finalize(napi_env env, void *data, void *hint)
{
	bound_t *this = data;

	(void)hint;
	for (size_t i = 0; i < BOUND_HELD_MAX && this->held[i]; i++)
	{
		napi_delete_reference(env, this->held[i]);
	}
	free(this);
}

/** No call may have more packets than an array of so many entries has */
static void limit(bound_t *this, size_t entries)
{
	if (this->vector.entries > entries)
	{
		this->vector.entries = entries;
	}
}

static bool get_arrays(bound_t *this, napi_env env, const napi_value argv[])
{
	vector_t *vector = &this->vector;
	size_t entries[4];

	if (!vector_get_array(env, argv[1], napi_uint8_array,
						  (void**)&vector->slab, &vector->slab_bytes) ||
		!vector_get_array(env, argv[2], napi_uint32_array,
						  (void**)&vector->offset, &entries[0]) ||
		!vector_get_array(env, argv[3], napi_uint32_array,
						  (void**)&vector->length, &entries[1]) ||
		!vector_get_array(env, argv[4], napi_int32_array,
						  (void**)&this->slot, &entries[2]) ||
		!vector_get_array(env, argv[5], napi_uint8_array,
						  (void**)&vector->verdict, &entries[3]))
	{
		return false;
	}
	vector->entries = entries[0];
	for (int i = 1; i < 4; i++)
	{
		limit(this, entries[i]);
	}
	for (int i = 0; i < this->kind->others; i++)
	{
		if (!vector_get_array(env, argv[COMMON_ARGS + i],
							  this->kind->other[i].type, &this->other[i],
							  &entries[0]))
		{
			return false;
		}
		limit(this, entries[0] / this->kind->other[i].per_packet);
	}
	return true;
}

napi_value bound_create(napi_env env, napi_callback_info info,
						const bound_kind_t *kind)
{
	const size_t wanted = COMMON_ARGS + kind->others;
	size_t argc = BOUND_HELD_MAX;
	napi_value argv[BOUND_HELD_MAX], result;
	slots_t *table;
	bound_t *this;

	VECTOR_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
	VECTOR_CHECK(env, argc >= wanted, "expected a table and its arrays");
	table = slots_get(env, argv[0], kind->table);
	if (!table)
	{
		return NULL;
	}
	VECTOR_CHECK(env, (this = calloc(1, sizeof(*this))), "out of memory");
	this->kind = kind;
	this->table = table;
	if (!get_arrays(this, env, argv))
	{
		finalize(env, this, NULL);
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT", "no arrays of a vector");
		return NULL;
	}
	for (size_t i = 0; i < wanted; i++)
	{
		if (napi_create_reference(env, argv[i], 1, &this->held[i]) != napi_ok)
		{
			vector_throw_last(env, "napi_create_reference");
			finalize(env, this, NULL);
			return NULL;
		}
	}
	if (napi_create_external(env, this, finalize, NULL, &result) != napi_ok)
	{
		vector_throw_last(env, "napi_create_external");
		finalize(env, this, NULL);
		return NULL;
	}
	return result;
}

bound_t *bound_get(napi_env env, const napi_value argv[],
				   const bound_kind_t *kind, uint32_t *count)
{
	void *data;
	bound_t *this;

	/* no other addon here makes such objects; these are told apart by their kind */
	if (napi_get_value_external(env, argv[0], &data) != napi_ok ||
		(this = data)->kind != kind)
	{
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT", "no binding of this kind");
		return NULL;
	}
	if (!vector_get_uint32(env, argv[1], count) || *count > this->vector.entries)
	{
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT",
							  "more packets than the arrays have");
		return NULL;
	}
	return this;
}
