/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "aes.h"
#include "cpu.h"

#include <openssl/crypto.h>
#include <string.h>

static const EVP_CIPHER *evp_cipher(size_t bytes)
{
	switch (bytes)
	{
		case 16: return EVP_aes_128_ecb();
		case 24: return EVP_aes_192_ecb();
		default: return EVP_aes_256_ecb();
	}
}

static bool evp_init(aes_t *this, const uint8_t *key, size_t bytes)
{
	this->evp = EVP_CIPHER_CTX_new();
	if (this->evp &&
		EVP_CipherInit_ex(this->evp, evp_cipher(bytes), NULL, key, NULL,
						  !this->decrypts) == 1 &&
		EVP_CIPHER_CTX_set_padding(this->evp, 0) == 1)
	{
		return true;
	}
	aes_wipe(this);
	return false;
}

static void evp_one(const aes_t *this, aes_block_t *block)
{
	int written;

	/* it fails for reasons of set-up only; zeros are nobody's header or tag */
	if (EVP_CipherUpdate(this->evp, block->bytes, &written, block->bytes,
						 AES_BLOCK_BYTES) != 1)
	{
		memset(block, 0, sizeof(*block));
	}
}

#ifdef __x86_64__
#include <immintrin.h>

#define USES_AES __attribute__((target("aes,sse2")))

/** FIPS 197 section 5.2; the instruction has SubWord() and no table in memory */
USES_AES static void expand(aes_t *this, const uint8_t *key, size_t bytes)
{
	const size_t nk = bytes / 4, words = 4 * (this->rounds + 1);
	uint32_t w[60];
	uint8_t rcon = 1;

	memcpy(w, key, bytes);
	for (size_t i = nk; i < words; i++)
	{
		uint32_t word = w[i - 1];

		if (i % nk == 0)
		{
			/* the second word of the result is SubWord(), rotated */
			__m128i sub = _mm_aeskeygenassist_si128(_mm_set1_epi32((int)word), 0);
			word = (uint32_t)_mm_cvtsi128_si32(_mm_srli_si128(sub, 4)) ^ rcon;
			rcon = (uint8_t)((rcon << 1) ^ ((rcon >> 7) * 0x1b));
		}
		else if (nk > 6 && i % nk == 4)
		{
			__m128i sub = _mm_aeskeygenassist_si128(_mm_set1_epi32((int)word), 0);
			word = (uint32_t)_mm_cvtsi128_si32(sub);
		}
		w[i] = w[i - nk] ^ word;
	}
	memcpy(this->round, w, words * 4);
	OPENSSL_cleanse(w, sizeof(w));
}

/** The round keys of the equivalent inverse cipher (FIPS 197 section 5.3.5) */
USES_AES static void invert(aes_t *this)
{
	aes_block_t forward[15];

	memcpy(forward, this->round, sizeof(forward));
	for (int i = 0; i <= this->rounds; i++)
	{
		__m128i key = _mm_load_si128((__m128i*)&forward[this->rounds - i]);

		if (i > 0 && i < this->rounds)
		{
			key = _mm_aesimc_si128(key);
		}
		_mm_store_si128((__m128i*)&this->round[i], key);
	}
	OPENSSL_cleanse(forward, sizeof(forward));
}

#define LANES 8
#define LOAD(p) _mm_load_si128((const __m128i*)(p))
/** A step for each lane, so that rounds of different blocks overlap */
#define EACH_LANE(statement) _Pragma("GCC unroll 8") \
	for (size_t l = 0; l < LANES; l++) { statement; }
#define LANE_KEY(i) LOAD(&keys[l]->round[i])

USES_AES static void encrypt_lanes(const aes_t *const keys[], aes_block_t blocks[])
{
	const int rounds = keys[0]->rounds;
	__m128i s[LANES];

	EACH_LANE(s[l] = _mm_xor_si128(LOAD(&blocks[l]), LANE_KEY(0)));
	for (int i = 1; i < rounds; i++)
	{
		EACH_LANE(s[l] = _mm_aesenc_si128(s[l], LANE_KEY(i)));
	}
	EACH_LANE(s[l] = _mm_aesenclast_si128(s[l], LANE_KEY(rounds)));
	EACH_LANE(_mm_store_si128((__m128i*)&blocks[l], s[l]));
}

USES_AES static void decrypt_lanes(const aes_t *const keys[], aes_block_t blocks[])
{
	const int rounds = keys[0]->rounds;
	__m128i s[LANES];

	EACH_LANE(s[l] = _mm_xor_si128(LOAD(&blocks[l]), LANE_KEY(0)));
	for (int i = 1; i < rounds; i++)
	{
		EACH_LANE(s[l] = _mm_aesdec_si128(s[l], LANE_KEY(i)));
	}
	EACH_LANE(s[l] = _mm_aesdeclast_si128(s[l], LANE_KEY(rounds)));
	EACH_LANE(_mm_store_si128((__m128i*)&blocks[l], s[l]));
}

USES_AES static void one(const aes_t *key, aes_block_t *block)
{
	__m128i s = _mm_xor_si128(LOAD(block), LOAD(&key->round[0]));

	for (int i = 1; i < key->rounds; i++)
	{
		s = key->decrypts ? _mm_aesdec_si128(s, LOAD(&key->round[i]))
						  : _mm_aesenc_si128(s, LOAD(&key->round[i]));
	}
	s = key->decrypts ? _mm_aesdeclast_si128(s, LOAD(&key->round[key->rounds]))
					  : _mm_aesenclast_si128(s, LOAD(&key->round[key->rounds]));
	_mm_store_si128((__m128i*)block, s);
}

/** Blocks under one key, four in a register */
#define WIDE 32
#define USES_WIDE_AES __attribute__((target("vaes,avx512f")))
#define EACH_REGISTER(statement) _Pragma("GCC unroll 8") \
	for (size_t r = 0; r < WIDE / 4; r++) { statement; }

USES_WIDE_AES static void encrypt_wide(const aes_t *key, aes_block_t blocks[],
									   size_t count)
{
	const int rounds = key->rounds;
	/* a bit for each half of a block */
	const uint64_t there = count < WIDE ? (1ULL << 2 * count) - 1 : ~0ULL;
	__m512i s[WIDE / 4], k = _mm512_broadcast_i32x4(LOAD(&key->round[0]));

	EACH_REGISTER(s[r] = _mm512_maskz_loadu_epi64((__mmask8)(there >> 8 * r),
												  &blocks[4 * r]));
	EACH_REGISTER(s[r] = _mm512_xor_si512(s[r], k));
	for (int i = 1; i < rounds; i++)
	{
		k = _mm512_broadcast_i32x4(LOAD(&key->round[i]));
		EACH_REGISTER(s[r] = _mm512_aesenc_epi128(s[r], k));
	}
	k = _mm512_broadcast_i32x4(LOAD(&key->round[rounds]));
	EACH_REGISTER(s[r] = _mm512_aesenclast_epi128(s[r], k));
	EACH_REGISTER(_mm512_mask_storeu_epi64(&blocks[4 * r],
										   (__mmask8)(there >> 8 * r), s[r]));
}

/** How many of the first WIDE blocks are under the first's key, if more are than there are lanes; else none */
static size_t count_wide(const aes_t *const keys[], size_t count)
{
	size_t n = 1;

	if (!keys[0]->is_wide || count < LANES || keys[LANES - 1] != keys[0])
	{
		return 0;
	}
	while (n < count && n < WIDE && keys[n] == keys[0])
	{
		n++;
	}
	return n >= LANES ? n : 0;
}

static bool are_lanes(const aes_t *const keys[], size_t count)
{
	if (count < LANES || keys[0]->evp)
	{
		return false;
	}
	for (size_t l = 1; l < LANES; l++)
	{
		if (keys[l]->rounds != keys[0]->rounds ||
			keys[l]->decrypts != keys[0]->decrypts || keys[l]->evp)
		{
			return false;
		}
	}
	return true;
}

#endif /* __x86_64__ */

bool aes_init(aes_t *this, const uint8_t *key, size_t bytes, bool decrypts)
{
	memset(this, 0, sizeof(*this));
	if (bytes != 16 && bytes != 24 && bytes != 32)
	{
		return false;
	}
	this->rounds = (uint8_t)(bytes / 4 + 6);
	this->decrypts = decrypts;
#ifdef __x86_64__
	if (cpu_has_aes())
	{
		this->is_wide = cpu_has_wide_aes() && !decrypts;
		expand(this, key, bytes);
		if (decrypts)
		{
			invert(this);
		}
		return true;
	}
#endif
	return evp_init(this, key, bytes);
}

void aes_each(const aes_t *const keys[], aes_block_t blocks[], size_t count)
{
	size_t i = 0;

	while (i < count)
	{
#ifdef __x86_64__
		const size_t wide = count_wide(keys + i, count - i);

		if (wide)
		{
			encrypt_wide(keys[i], blocks + i, wide);
			i += wide;
			continue;
		}
		if (are_lanes(keys + i, count - i))
		{
			if (keys[i]->decrypts)
			{
				decrypt_lanes(keys + i, blocks + i);
			}
			else
			{
				encrypt_lanes(keys + i, blocks + i);
			}
			i += LANES;
			continue;
		}
		if (!keys[i]->evp)
		{
			one(keys[i], &blocks[i]);
			i++;
			continue;
		}
#endif
		evp_one(keys[i], &blocks[i]);
		i++;
	}
}

void aes_wipe(aes_t *this)
{
	/* frees and clears what the library keeps of the key */
	EVP_CIPHER_CTX_free(this->evp);
	OPENSSL_cleanse(this, sizeof(*this));
}
