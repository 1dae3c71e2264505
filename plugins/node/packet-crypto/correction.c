/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "correction.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/** H^0 to H^127: packets of up to 2000 bytes need no other */
#define SMALL 128
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
	this->has_esn = has_esn;
	OPENSSL_cleanse(&hash, sizeof(hash));
	aes_wipe(&aes);
	return true;
}

static bool make_powers(correction_t *this)
{
	field_t *small = malloc(POWERS_BYTES), *large;

	if (!small)
	{
		return false;
	}
	large = small + SMALL;
	small[0] = (field_t){ .high = 1ULL << 63 };
	for (int i = 1; i < SMALL; i++)
	{
		small[i] = this->multiply(small[i - 1], &this->hash);
	}
	large[0] = this->multiply(small[SMALL - 1], &this->hash);
	for (int i = 1; i < LARGE; i++)
	{
		large[i] = this->multiply(large[i - 1], &large[0]);
	}
	this->powers = small;
	return true;
}

bool correction_of(correction_t *this, uint32_t high, uint32_t low,
				   uint32_t blocks, aes_block_t *out)
{
	const uint32_t power = blocks + 2;
	field_t value = {};

	if (blocks > CORRECTED_BLOCKS_MAX || (!this->powers && !make_powers(this)))
	{
		return false;
	}
	value.high = this->has_esn ? high : low;
	value.low = this->has_esn ? (uint64_t)low << 32 : 0;
	if (power >= SMALL)
	{
		value = this->multiply(value, &this->powers[SMALL + power / SMALL - 1]);
	}
	field_store(this->multiply(value, &this->powers[power % SMALL]), out->bytes);
	return true;
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
