/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "correction.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/** H^0 to H^127, times x^31 */
#define SMALL CORRECTED_SMALL
/** H^128, H^256 ... for longer ones */
#define LARGE (CORRECTED_BLOCKS_MAX / SMALL + 1)
#define POWERS_BYTES ((SMALL + LARGE) * sizeof(field_t))

bool correction_init(correction_t *this, const uint8_t *key, size_t bytes,
					 bool has_esn)
{
	const aes_t *keys[1];
	aes_block_t hash = {};
	aes_t aes;

	memset(this, 0, sizeof(*this));
	if (!aes_init(&aes, key, bytes, false))
	{
		return false;
	}
	keys[0] = &aes;
	aes_each(keys, &hash, 1);
	this->hash = field_load(hash.bytes);
	this->multiply = field_multiplication();
	this->scale = field_scaling();
	this->has_esn = has_esn;
	OPENSSL_cleanse(&hash, sizeof(hash));
	aes_wipe(&aes);
	return true;
}

/**
 * D is x^32 times a word, and to scale multiplies by x: so the small powers are
 * those of H times x^31.
 */
bool correction_make_powers(correction_t *this)
{
	field_t *small, *large;

	small = malloc(POWERS_BYTES);
	if (!small)
	{
		return false;
	}
	large = small + SMALL;
	small[0] = (field_t){ .high = 1ULL << (63 - 31) };
	large[0] = this->hash;
	for (int i = 1; i < SMALL; i++)
	{
		small[i] = this->multiply(small[i - 1], &this->hash);
	}
	for (int i = 1; i < SMALL; i *= 2)
	{
		large[0] = this->multiply(large[0], &large[0]);
	}
	for (int i = 1; i < LARGE; i++)
	{
		large[i] = this->multiply(large[i - 1], &large[0]);
	}
	this->powers = small;
	return true;
}

const field_t *correction_large_power(corrections_t *this, const correction_t *of,
									  uint32_t power)
{
	field_t *product = &this->products[this->longer++];

	*product = of->multiply(of->powers[power % SMALL],
							&of->powers[SMALL + power / SMALL - 1]);
	return product;
}

void corrections_end(corrections_t *this, aes_block_t blocks[])
{
	if (this->count)
	{
		this->scale(this->words, this->powers, blocks, this->count);
	}
	if (this->longer)
	{
		OPENSSL_cleanse(this->products, this->longer * sizeof(this->products[0]));
	}
}

void correction_wipe(correction_t *this)
{
	if (this->powers)
	{
		OPENSSL_cleanse(this->powers, POWERS_BYTES);
		free(this->powers);
	}
	OPENSSL_cleanse(this, sizeof(*this));
}
