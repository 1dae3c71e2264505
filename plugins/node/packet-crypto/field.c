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

/** Reduce a number of 256 bits, most significant word first */
__attribute__((always_inline))
static inline field_t reduce(uint64_t w3, uint64_t w2, uint64_t w1, uint64_t w0)
{
	field_t z;

	/* x^128 times w1 | w0 is the same times 1 + x + x^2 + x^7, where times x is
	 * a shift to the right; what falls out on the right comes in again on top */
	w1 ^= w0 << 63 ^ w0 << 62 ^ w0 << 57;
	z.high = w3 ^ w1 ^ w1 >> 1 ^ w1 >> 2 ^ w1 >> 7;
	z.low = w2 ^ w0 ^ (w0 >> 1 | w1 << 63) ^ (w0 >> 2 | w1 << 62) ^
			(w0 >> 7 | w1 << 57);
	return z;
}

/** Reduce a product whose lowest bit is of no meaning: that of two reversed numbers is one bit short */
__attribute__((always_inline))
static inline field_t reduce_product(uint64_t w3, uint64_t w2, uint64_t w1,
									 uint64_t w0)
{
	return reduce(w3 << 1 | w2 >> 63, w2 << 1 | w1 >> 63, w1 << 1 | w0 >> 63,
				  w0 << 1);
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

	return reduce_product(high.high, high.low ^ one.high ^ other.high,
						  low.high ^ one.low ^ other.low, low.low);
}

static void portable_scale(const uint64_t words[],
						   const field_t *const elements[],
						   aes_block_t blocks[], size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		const wide_t high = portable_words(words[i], elements[i]->high);
		const wide_t low = portable_words(words[i], elements[i]->low);
		const field_t product = reduce(high.high, high.low ^ low.high, low.low, 0);

		aes_put(&blocks[i], product.high, product.low);
	}
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

	return reduce_product((uint64_t)_mm_extract_epi64(high, 1),
						  (uint64_t)_mm_cvtsi128_si64(high) ^
						  (uint64_t)_mm_extract_epi64(middle, 1),
						  (uint64_t)_mm_extract_epi64(low, 1) ^
						  (uint64_t)_mm_cvtsi128_si64(middle),
						  (uint64_t)_mm_cvtsi128_si64(low));
}

/** 1 + x^57 + x^62 + x^63 of the reversed polynomial, without the 1: what x^-64 is */
#define REVERSED 0xc200000000000000

/**
 * The lowest word of a product of three is taken to the other end (Montgomery's
 * way), where a reduced product of reversed numbers stands.
 */
__attribute__((target("pclmul,sse4.1,tune=haswell")))
static void scale_with_clmul(const uint64_t words[],
							 const field_t *const elements[],
							 aes_block_t blocks[], size_t count)
{
	const __m128i reversed = _mm_cvtsi64_si128((long long)REVERSED);
	const __m128i bytes = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7,
									   8, 9, 10, 11, 12, 13, 14, 15);

	for (size_t i = 0; i < count; i++)
	{
		const __m128i word = _mm_cvtsi64_si128((long long)words[i]);
		const __m128i element = _mm_loadu_si128((const __m128i*)elements[i]);
		const __m128i low = _mm_clmulepi64_si128(word, element, 0x00);
		const __m128i high = _mm_clmulepi64_si128(word, element, 0x10);
		const __m128i lowest = _mm_clmulepi64_si128(low, reversed, 0x00);
		const __m128i product = _mm_xor_si128(_mm_xor_si128(high, lowest),
											  _mm_shuffle_epi32(low, 0x4e));

		_mm_store_si128((__m128i*)&blocks[i], _mm_shuffle_epi8(product, bytes));
	}
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

field_scale_t field_scaling(void)
{
#ifdef __x86_64__
	if (cpu_has_clmul())
	{
		return scale_with_clmul;
	}
#endif
	return portable_scale;
}

field_t field_load(const uint8_t *block)
{
	uint64_t words[2];

	memcpy(words, block, sizeof(words));
	return (field_t){ .high = be64toh(words[0]), .low = be64toh(words[1]) };
}
