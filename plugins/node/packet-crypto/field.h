/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * GF(2^128) as GCM has it (SP 800-38D section 6.3). A block is a number whose
 * highest bit is the coefficient of x^0; x^128 = 1 + x + x^2 + x^7. All of it
 * runs in constant time.
 */

#ifndef PACKET_CRYPTO_FIELD_H_
#define PACKET_CRYPTO_FIELD_H_

#include "aes.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
	/** coefficients of x^64 (the highest bit) to x^127 */
	uint64_t low;
	/** of x^0 to x^63 */
	uint64_t high;
} field_t;

/** The product of two elements */
typedef field_t (*field_multiply_t)(field_t a, const field_t *b);

/** The fastest way to multiply that this CPU has */
field_multiply_t field_multiplication(void);

/**
 * x times word i times element i, each as a block of 16 bytes; a word has the
 * coefficients of x^0 (the highest bit) to x^63. The x is what the product of two
 * reversed numbers is too long by: to shift it away costs more than to have it in
 * the element.
 */
typedef void (*field_scale_t)(const uint64_t words[],
							  const field_t *const elements[],
							  aes_block_t blocks[], size_t count);

/** The fastest way to scale that this CPU has */
field_scale_t field_scaling(void);

/** The element in a block of 16 bytes */
field_t field_load(const uint8_t *block);

#endif /* PACKET_CRYPTO_FIELD_H_ */
