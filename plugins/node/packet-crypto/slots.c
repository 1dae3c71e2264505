/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "slots.h"

#include <stdlib.h>
#include <string.h>

/** Far more SAs than a host can have */
#define SLOTS_MAX (1 << 24)
#define SLOTS_MIN 64

static void destroy(slots_t *this)
{
	for (uint32_t i = 0; i < this->size; i++)
	{
		if (this->contexts[i])
		{
			this->kind->destroy(this->contexts[i]);
		}
	}
	free(this->contexts);
	free(this);
}

static void finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	destroy(data);
}

napi_value slots_create(napi_env env, const slots_kind_t *kind,
						napi_value verdicts)
{
	slots_t *this;
	napi_value object;
	uint8_t *values;
	size_t count;

	VECTOR_CHECK(env, vector_get_array(env, verdicts, napi_uint8_array,
				 (void**)&values, &count) && count == kind->verdicts &&
				 !memchr(values, 0, count),
				 "verdicts must be one for each reason, and none of them 0");
	this = calloc(1, sizeof(*this));
	if (!this)
	{
		napi_throw_error(env, "ERR_DVIPA_NATIVE", "out of memory");
		return NULL;
	}
	this->kind = kind;
	memcpy(this->verdicts, values, count);
	if (napi_create_object(env, &object) != napi_ok ||
		napi_type_tag_object(env, object, &kind->tag) != napi_ok ||
		napi_wrap(env, object, this, finalize, NULL, NULL) != napi_ok)
	{
		vector_throw_last(env, kind->name);
		destroy(this);
		return NULL;
	}
	return object;
}

slots_t *slots_get(napi_env env, napi_value object, const slots_kind_t *kind)
{
	bool is_ours = false;
	void *data;
	napi_valuetype type;

	if (napi_typeof(env, object, &type) != napi_ok || type != napi_object ||
		napi_check_object_type_tag(env, object, &kind->tag, &is_ours) != napi_ok ||
		!is_ours || napi_unwrap(env, object, &data) != napi_ok)
	{
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT", kind->name);
		return NULL;
	}
	return data;
}

static bool grow(slots_t *this, uint32_t slot)
{
	uint32_t size = this->size ? this->size : SLOTS_MIN;
	void **contexts;

	while (size <= slot)
	{
		size *= 2;
	}
	contexts = realloc(this->contexts, size * sizeof(*contexts));
	if (!contexts)
	{
		return false;
	}
	memset(contexts + this->size, 0, (size - this->size) * sizeof(*contexts));
	this->contexts = contexts;
	this->size = size;
	return true;
}

bool slots_put(slots_t *this, uint32_t slot, void *context)
{
	if (slot >= SLOTS_MAX || (slot >= this->size && !grow(this, slot)))
	{
		return false;
	}
	if (this->contexts[slot])
	{
		this->kind->destroy(this->contexts[slot]);
	}
	this->contexts[slot] = context;
	return true;
}

napi_value slots_remove(napi_env env, napi_callback_info info,
						const slots_kind_t *kind)
{
	slots_t *this;

	VECTOR_ARGS(env, info, 2);
	this = slots_get(env, argv[0], kind);
	if (!this)
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 1, slot);
	if (slots_at(this, slot))
	{
		slots_put(this, slot, NULL);
	}
	return NULL;
}

bool slots_get_batch(napi_env env, const napi_value argv[],
					 const slots_kind_t *kind, slots_t **table,
					 vector_t *vector, int32_t **slot, uint32_t *count)
{
	size_t offsets, lengths, slots, verdicts;

	*table = slots_get(env, argv[0], kind);
	if (!*table)
	{
		return false;
	}
	if (!vector_get_array(env, argv[1], napi_uint8_array, (void**)&vector->slab,
						  &vector->slab_bytes) ||
		!vector_get_array(env, argv[2], napi_uint32_array,
						  (void**)&vector->offset, &offsets) ||
		!vector_get_array(env, argv[3], napi_uint32_array,
						  (void**)&vector->length, &lengths) ||
		!vector_get_array(env, argv[4], napi_int32_array, (void**)slot, &slots) ||
		!vector_get_array(env, argv[5], napi_uint8_array,
						  (void**)&vector->verdict, &verdicts) ||
		!vector_get_uint32(env, argv[6], count))
	{
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT", "no arrays of a vector");
		return false;
	}
	if (*count > offsets || *count > lengths || *count > slots ||
		*count > verdicts)
	{
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT",
							  "more packets than the arrays have");
		return false;
	}
	vector->entries = *count;
	return true;
}
