/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A vector's arrays together with a table, told once and used by many calls: to
 * ask for nine arrays costs a call more than to stamp thirty packets. A binding is
 * an object for JavaScript; it holds references to all that it points to, so
 * none of it is collected before the binding is. Bound arrays must not be
 * transferred to another thread: that would take their memory away.
 */

#ifndef PACKET_CRYPTO_BOUND_H_
#define PACKET_CRYPTO_BOUND_H_

#include "slots.h"

#define BOUND_OTHERS_MAX 3

/** The arrays of one kind of binding behind those of each: slab, offset, length, saSlot, verdict */
typedef struct {
	const slots_kind_t *table;
	uint8_t others;
	struct {
		napi_typedarray_type type;
		/** entries that a packet takes */
		uint32_t per_packet;
	} other[BOUND_OTHERS_MAX];
} bound_kind_t;

#define BOUND_HELD_MAX (6 + BOUND_OTHERS_MAX)

typedef struct {
	const bound_kind_t *kind;
	slots_t *table;
	/** entries: as many packets as each array has room for */
	vector_t vector;
	int32_t *slot;
	void *other[BOUND_OTHERS_MAX];
	/** the table and the arrays */
	napi_ref held[BOUND_HELD_MAX];
} bound_t;

/**
 * A function of JavaScript, (table, slab, offset, length, saSlot, verdict,
 * others ...): a new binding.
 */
napi_value bound_create(napi_env env, napi_callback_info info,
						const bound_kind_t *kind);

/**
 * The arguments that functions on a binding begin with: the binding, and how many
 * packets of it; none of its arrays has fewer entries. NULL with a pending
 * exception.
 */
bound_t *bound_get(napi_env env, const napi_value argv[],
				   const bound_kind_t *kind, uint32_t *count);

#endif /* PACKET_CRYPTO_BOUND_H_ */
