/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "field.h"
#include "cpu.h"

#include <endian.h>
#include <string.h>

/** The product without carry of two words, 128 bits */
typedef struct {
	uint64_t high;
	uint64_t low;
} wide_t;

/**
 * Reduce a product of 256 bits, most significant word first, whose lowest bit is
 * of no meaning: the product of two reversed numbers is one bit short.
 */
__attribute__((always_inline))
static inline field_t reduce(uint64_t w3, uint64_t w2, uint64_t w1, uint64_t w0)
{
	field_t z;

	w3 = w3 << 1 | w2 >> 63;
	w2 = w2 << 1 | w1 >> 63;
	w1 = w1 << 1 | w0 >> 63;
	w0 = w0 << 1;
	/* x^128 times w1 | w0 is the same times 1 + x + x^2 + x^7, where times x is
	 * a shift to the right; what falls out on the right comes in again on top */
	w1 ^= w0 << 63 ^ w0 << 62 ^ w0 << 57;
	z.high = w3 ^ w1 ^ w1 >> 1 ^ w1 >> 2 ^ w1 >> 7;
	z.low = w2 ^ w0 ^ (w0 >> 1 | w1 << 63) ^ (w0 >> 2 | w1 << 62) ^
			(w0 >> 7 | w1 << 57);
	return z;
}

static wide_t portable_words(uint64_t a, uint64_t b)
{
	wide_t z = {};

	for (int bit = 0; bit < 64; bit++)
	{
		const uint64_t taken = 0 - (a >> bit & 1);

		z.low ^= (b << bit) & taken;
		z.high ^= (b >> 1 >> (63 - bit)) & taken;
	}
	return z;
}

static field_t portable(field_t a, const field_t *b)
{
	const wide_t high = portable_words(a.high, b->high);
	const wide_t low = portable_words(a.low, b->low);
	const wide_t one = portable_words(a.high, b->low);
	const wide_t other = portable_words(a.low, b->high);

	return reduce(high.high, high.low ^ one.high ^ other.high,
				  low.high ^ one.low ^ other.low, low.low);
}

#ifdef __x86_64__
#include <immintrin.h>

/* tuned for CPUs that have the instruction: words cross between the units without memory */
__attribute__((target("pclmul,sse4.1,tune=haswell")))
static field_t with_clmul(field_t a, const field_t *b)
{
	/* word by word: a load of both would wait for the stores of each */
	const __m128i x = _mm_unpacklo_epi64(_mm_cvtsi64_si128((long long)a.low),
										 _mm_cvtsi64_si128((long long)a.high));
	const __m128i y = _mm_loadu_si128((const __m128i*)b);
	const __m128i high = _mm_clmulepi64_si128(x, y, 0x11);
	const __m128i low = _mm_clmulepi64_si128(x, y, 0x00);
	const __m128i middle = _mm_xor_si128(_mm_clmulepi64_si128(x, y, 0x10),
										 _mm_clmulepi64_si128(x, y, 0x01));

	return reduce((uint64_t)_mm_extract_epi64(high, 1),
				  (uint64_t)_mm_cvtsi128_si64(high) ^
				  (uint64_t)_mm_extract_epi64(middle, 1),
				  (uint64_t)_mm_extract_epi64(low, 1) ^
				  (uint64_t)_mm_cvtsi128_si64(middle),
				  (uint64_t)_mm_cvtsi128_si64(low));
}
#endif

field_multiply_t field_multiplication(void)
{
#ifdef __x86_64__
	if (cpu_has_clmul())
	{
		return with_clmul;
	}
#endif
	return portable;
}

field_t field_load(const uint8_t *block)
{
	uint64_t words[2];

	memcpy(words, block, sizeof(words));
	return (field_t){ .high = be64toh(words[0]), .low = be64toh(words[1]) };
}

void field_store(field_t element, uint8_t *block)
{
	/* as one store: whoever reads the block at once would wait for two */
	typedef uint64_t words_t __attribute__((vector_size(16)));
	const words_t words = { htobe64(element.high), htobe64(element.low) };

	memcpy(block, &words, sizeof(words));
}
