/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * The vector: many packets as one slab of bytes and parallel typed arrays,
 * all owned by the JavaScript caller. Shared by the addons in this folder.
 *
 * Conventions, for every function that takes a vector:
 *  - packet i is slab[offset[i] .. offset[i] + length[i]);
 *  - a function works on the packets from .. from + count of one call, and
 *    passes over those with verdict[i] != 0;
 *  - the addon sets a verdict (a code given by the caller), never clears one;
 *  - an addon keeps no pointer into a slab or an array after the call. One that
 *    has to (a ring, a worker thread, a binding) holds a napi_ref to the object: what only
 *    C points to is collected as garbage;
 *  - bounds are checked before the first packet is touched, so a call does all
 *    of its work or, with a thrown error, none;
 *  - they are checked once: nobody but the call itself writes to its arrays while
 *    it lasts, also where their memory is shared.
 *
 * All of this is static inline: an addon is a few .c files and this header.
 */

#ifndef DVIPA_VECTOR_H_
#define DVIPA_VECTOR_H_

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** A caller's vector, valid for the length of one call */
typedef struct {
	/** all packets' bytes, and how many there are */
	uint8_t *slab;
	size_t slab_bytes;
	/** start and length of each packet in the slab */
	uint32_t *offset;
	uint32_t *length;
	/** 0 = work on it; may be NULL in calls that take none */
	uint8_t *verdict;
	/** entries that all of the arrays have at least */
	size_t entries;
} vector_t;

/**
 * Leave the current N-API function with a pending exception if a call failed.
 */
#define VECTOR_TRY(env, call) do { \
	if ((call) != napi_ok) \
	{ \
		vector_throw_last(env, #call); \
		return NULL; \
	} \
} while (0)

/**
 * Leave the current N-API function with a TypeError unless a condition holds.
 */
#define VECTOR_CHECK(env, condition, message) do { \
	if (!(condition)) \
	{ \
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT", message); \
		return NULL; \
	} \
} while (0)

/**
 * Declare argc and argv, and insist on a number of arguments.
 */
#define VECTOR_ARGS(env, info, n) \
	size_t argc = (n); \
	napi_value argv[n]; \
	VECTOR_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL)); \
	VECTOR_CHECK(env, argc >= (n), "expected " #n " arguments")

/**
 * Argument i as uint32_t; refuses what is no whole number in range.
 */
#define VECTOR_ARG_UINT32(env, i, name) \
	uint32_t name; \
	VECTOR_CHECK(env, vector_get_uint32(env, argv[i], &(name)), \
				 #name " must be an unsigned 32-bit integer")

/**
 * Argument i as typed array of the given kind: declares its pointer and entry count.
 */
#define VECTOR_ARG_ARRAY(env, i, kind, ctype, name) \
	ctype *name; \
	size_t name##_entries; \
	VECTOR_CHECK(env, vector_get_array(env, argv[i], kind, (void**)&(name), \
									   &(name##_entries)), \
				 #name " must be a typed array of kind " #kind)

static inline void vector_throw_last(napi_env env, const char *call)
{
	const napi_extended_error_info *last = NULL;
	const char *why = "unknown";
	bool pending = false;
	char text[256];

	/* the message first: every further call overwrites it */
	if (napi_get_last_error_info(env, &last) == napi_ok && last &&
		last->error_message)
	{
		why = last->error_message;
	}
	snprintf(text, sizeof(text), "%.160s: %.80s", call, why);
	if (napi_is_exception_pending(env, &pending) == napi_ok && !pending)
	{
		napi_throw_error(env, "ERR_DVIPA_NATIVE", text);
	}
}

static inline bool vector_get_uint32(napi_env env, napi_value value, uint32_t *out)
{
	double number;

	if (napi_get_value_double(env, value, &number) != napi_ok ||
		!(number >= 0 && number <= UINT32_MAX))
	{
		return false;
	}
	*out = (uint32_t)number;
	return (double)*out == number;
}

static inline bool vector_get_array(napi_env env, napi_value value,
									napi_typedarray_type want, void **bytes,
									size_t *entries)
{
	napi_typedarray_type type;
	bool is_array = false;

	if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array ||
		napi_get_typedarray_info(env, value, &type, entries, bytes, NULL,
								 NULL) != napi_ok)
	{
		return false;
	}
	return type == want;
}

/**
 * Whether the packets from .. from + count may each be given room bytes.
 */
static inline bool vector_has_room(const vector_t *vector, uint32_t from,
								   uint32_t count, uint32_t room)
{
	if ((uint64_t)from + count > vector->entries)
	{
		return false;
	}
	for (uint32_t i = from; i < from + count; i++)
	{
		if ((uint64_t)vector->offset[i] + room > vector->slab_bytes)
		{
			return false;
		}
	}
	return true;
}

/**
 * Whether the packets from .. from + count that are not dropped lie in the slab.
 */
static inline bool vector_is_inside(const vector_t *vector, uint32_t from,
									uint32_t count)
{
	if ((uint64_t)from + count > vector->entries)
	{
		return false;
	}
	for (uint32_t i = from; i < from + count; i++)
	{
		if ((!vector->verdict || !vector->verdict[i]) &&
			(uint64_t)vector->offset[i] + vector->length[i] > vector->slab_bytes)
		{
			return false;
		}
	}
	return true;
}

#endif /* DVIPA_VECTOR_H_ */
