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

/** What kind of contexts a table has */
typedef struct {
	const char *name;
	napi_type_tag tag;
	/** overwrites what is secret and frees */
	void (*destroy)(void *context);
} slots_kind_t;

typedef struct {
	const slots_kind_t *kind;
	void **contexts;
	/** slots below this have a place in contexts */
	uint32_t size;
} slots_t;

/** A new table as an object; NULL with a pending exception */
napi_value slots_create(napi_env env, const slots_kind_t *kind);

/** The table in an object made by slots_create(); NULL with a pending exception */
slots_t *slots_get(napi_env env, napi_value object, const slots_kind_t *kind);

/** Take a context over into a slot; false: too large a slot, or no memory */
bool slots_put(slots_t *this, uint32_t slot, void *context);

/** The context in a slot; NULL if there is none */
static inline void *slots_at(const slots_t *this, int64_t slot)
{
	return slot >= 0 && slot < this->size ? this->contexts[slot] : NULL;
}

#endif /* PACKET_CRYPTO_SLOTS_H_ */
