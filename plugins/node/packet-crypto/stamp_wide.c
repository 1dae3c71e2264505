/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "stamp_wide.h"
#include "crypto.h"

#ifdef __x86_64__
#include <immintrin.h>

#define REGISTERS (STAMP_GROUP / 4)
#define WIDE __attribute__((target("vaes,avx512f,avx512bw")))
#define WIDE_INLINE WIDE __attribute__((always_inline)) static inline
#define EACH_REGISTER(statement) _Pragma("GCC unroll 8") \
	for (size_t r = 0; r < REGISTERS; r++) { statement; }

/** A byte of zeros, and several */
#define NONE 0x80
#define N2 NONE, NONE
#define N4 N2, N2
#define N8 N4, N4

/** Where the last 16 bytes of a packet, and its hints, stand in the blocks */
typedef struct {
	uint8_t second_end[AES_BLOCK_BYTES];
	uint8_t second_hints[AES_BLOCK_BYTES];
	uint8_t third_end[AES_BLOCK_BYTES];
	uint8_t third_hints[AES_BLOCK_BYTES];
} layout_t;

/** For ICVs of 8, 12 and 16 bytes: length (16) | ICV | hints (32) */
static const layout_t layouts[] = {
	{ { N2, 8, 9, 10, 11, 12, 13, 14, 15, N4, N2 },
	  { N8, N2, 0, 1, 2, 3, N2 }, {}, {} },
	{ { N2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, N2 },
	  { N8, N4, N2, 0, 1 }, { N8, N8 }, { 2, 3, N8, N4, N2 } },
	{ { N2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 },
	  { N8, N8 }, { 14, 15, N8, N4, N2 }, { N2, 0, 1, 2, 3, N8, N2 } },
};

/** What there is of fewer packets is there several times */
static void fill_up(stamp_place_t places[STAMP_GROUP], size_t count)
{
	for (size_t i = count; i < STAMP_GROUP; i++)
	{
		places[i] = places[0];
	}
}

/** Four blocks in a register */
WIDE_INLINE __m512i four(__m128i a, __m128i b, __m128i c, __m128i d)
{
	const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
	const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);

	return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

#define FOUR(block, places) \
	four(block((places) + 0), block((places) + 1), block((places) + 2), block((places) + 3))

WIDE_INLINE __m128i load(const uint8_t *at)
{
	return _mm_loadu_si128((const __m128i*)at);
}

/** SPI | number | IV */
WIDE_INLINE __m128i esp_of(const stamp_place_t *place)
{
	return load(place->esp);
}

/** What the check covers of the first word, among others */
WIDE_INLINE __m128i header_of(const stamp_place_t *place)
{
	return load(place->esp - STAMP_HEADER_BYTES);
}

/** The last bytes, the ICV among them: there is as much in front of the shortest */
WIDE_INLINE __m128i end_of(const stamp_place_t *place)
{
	return load(place->icv + place->mask->icv_bytes - AES_BLOCK_BYTES);
}

WIDE_INLINE __m128i length_of(const stamp_place_t *place)
{
	return _mm_cvtsi32_si128(htobe16((uint16_t)place->bytes));
}

/** The same block in all four places */
WIDE_INLINE __m512i all(const uint8_t *block)
{
	return _mm512_broadcast_i32x4(load(block));
}

/** epoch | SPI | IV */
WIDE_INLINE __m512i first_block(const stamp_place_t places[4], __m512i epoch)
{
	return _mm512_or_si512(epoch, _mm512_maskz_shuffle_epi32(0xeeee,
								FOUR(esp_of, places), _MM_SHUFFLE(3, 2, 0, 1)));
}

WIDE_INLINE void encrypt(const aes_t *key, __m512i s[REGISTERS])
{
	__m512i k = all(key->round[0].bytes);

	EACH_REGISTER(s[r] = _mm512_xor_si512(s[r], k));
	for (int i = 1; i < key->rounds; i++)
	{
		k = all(key->round[i].bytes);
		EACH_REGISTER(s[r] = _mm512_aesenc_epi128(s[r], k));
	}
	k = all(key->round[key->rounds].bytes);
	EACH_REGISTER(s[r] = _mm512_aesenclast_epi128(s[r], k));
}

WIDE_INLINE __m512i epoch_of(const stamp_mask_t *mask)
{
	return _mm512_maskz_set1_epi32(0x1111, (int)htobe32(mask->epoch));
}

WIDE_INLINE void store(aes_block_t to[], const __m512i s[REGISTERS])
{
	EACH_REGISTER(_mm512_storeu_si512(&to[4 * r], s[r]));
}

bool stamp_is_wide(const stamp_place_t places[], size_t count)
{
	for (size_t i = 1; i < count; i++)
	{
		if (places[i].mask != places[0].mask)
		{
			return false;
		}
	}
	return places[0].mask->link.is_wide;
}

WIDE void stamp_wide_pads(stamp_place_t places[STAMP_GROUP], size_t count,
						  aes_block_t pads[STAMP_GROUP])
{
	const __m512i epoch = epoch_of(places[0].mask);
	__m512i s[REGISTERS];

	fill_up(places, count);
	for (size_t r = 0; r < REGISTERS; r++)
	{
		s[r] = first_block(&places[4 * r], epoch);
	}
	encrypt(&places[0].mask->link, s);
	store(pads, s);
}

WIDE void stamp_wide_check(stamp_place_t places[STAMP_GROUP], size_t count,
						   aes_block_t checks[STAMP_GROUP])
{
	const stamp_mask_t *mask = places[0].mask;
	const __m512i epoch = epoch_of(mask), tail = all(mask->tail.bytes);
	const layout_t *layout = &layouts[(mask->icv_bytes - 8) / 4];
	__m512i s[REGISTERS], second[REGISTERS], third[REGISTERS];

	fill_up(places, count);
	for (size_t r = 0; r < REGISTERS; r++)
	{
		const stamp_place_t *from = &places[4 * r];
		const __m512i end = FOUR(end_of, from), header = FOUR(header_of, from);

		s[r] = first_block(from, epoch);
		second[r] = FOUR(length_of, from) |
					_mm512_shuffle_epi8(end, all(layout->second_end)) |
					_mm512_shuffle_epi8(header, all(layout->second_hints));
		third[r] = _mm512_shuffle_epi8(end, all(layout->third_end)) |
				   _mm512_shuffle_epi8(header, all(layout->third_hints));
	}
	encrypt(&mask->check, s);
	if (mask->icv_bytes == 8)
	{
		EACH_REGISTER(s[r] ^= second[r] ^ tail);
	}
	else
	{
		EACH_REGISTER(s[r] ^= second[r]);
		encrypt(&mask->check, s);
		EACH_REGISTER(s[r] ^= third[r] ^ tail);
	}
	encrypt(&mask->check, s);
	store(checks, s);
}

#else

bool stamp_is_wide(const stamp_place_t places[], size_t count)
{
	(void)places;
	(void)count;
	return false;
}

void stamp_wide_pads(stamp_place_t places[STAMP_GROUP], size_t count,
					 aes_block_t pads[STAMP_GROUP])
{
	(void)places;
	(void)count;
	(void)pads;
}

void stamp_wide_check(stamp_place_t places[STAMP_GROUP], size_t count,
					  aes_block_t checks[STAMP_GROUP])
{
	(void)places;
	(void)count;
	(void)checks;
}
#endif
