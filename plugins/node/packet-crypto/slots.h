/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A table of contexts by SA slot, as a JavaScript object. It owns the contexts:
 * each is destroyed when it is removed or replaced, the rest with the object.
 */

#ifndef PACKET_CRYPTO_SLOTS_H_
#define PACKET_CRYPTO_SLOTS_H_

#include "../vector.h"

#define SLOTS_VERDICTS_MAX 8

/** What kind of contexts a table has */
typedef struct {
	const char *name;
	napi_type_tag tag;
	/** overwrites what is secret and frees */
	void (*destroy)(void *context);
	/** how many verdicts its packets may get */
	uint8_t verdicts;
} slots_kind_t;

typedef struct {
	const slots_kind_t *kind;
	void **contexts;
	/** slots below this have a place in contexts */
	uint32_t size;
	/** as the caller numbers them */
	uint8_t verdicts[SLOTS_VERDICTS_MAX];
} slots_t;

/**
 * A new table as an object; NULL with a pending exception.
 *
 * @param verdicts	a Uint8Array, one for each reason that the kind has
 */
napi_value slots_create(napi_env env, const slots_kind_t *kind,
						napi_value verdicts);

/** The table in an object made by slots_create(); NULL with a pending exception */
slots_t *slots_get(napi_env env, napi_value object, const slots_kind_t *kind);

/**
 * The arguments that functions on vectors begin with: table, slab, offset,
 * length, saSlot, verdict, count. No array has fewer entries than count; where
 * packets are in the slab is not looked at. False with a pending exception.
 */
bool slots_get_batch(napi_env env, const napi_value argv[],
					 const slots_kind_t *kind, slots_t **table,
					 vector_t *vector, int32_t **slot, uint32_t *count);

/** A function of JavaScript, (table, slot): destroys what is in the slot */
napi_value slots_remove(napi_env env, napi_callback_info info,
						const slots_kind_t *kind);

/** Take a context over into a slot; false: too large a slot, or no memory */
bool slots_put(slots_t *this, uint32_t slot, void *context);

/** The context in a slot; NULL if there is none */
static inline void *slots_at(const slots_t *this, int64_t slot)
{
	return slot >= 0 && slot < this->size ? this->contexts[slot] : NULL;
}

#endif /* PACKET_CRYPTO_SLOTS_H_ */
