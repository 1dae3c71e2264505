/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "stamp_mask.h"
#include "crypto.h"
#include "stamp_wide.h"

#include <openssl/crypto.h>

#define BLOCK AES_BLOCK_BYTES
/** epoch | SPI | IV, length of the ciphertext, ICV, hints: two blocks or three, the last never whole */
#define HINT_BYTES 4
#define MESSAGE_BYTES(icv_bytes) (BLOCK + 2 + (icv_bytes) + HINT_BYTES)

/** Times x in GF(2^128) (RFC 4493 section 2.3), without a branch on the secret */
static void double_block(uint8_t *block)
{
	const uint8_t carry = (uint8_t)(0x87 & (0 - (block[0] >> 7)));

	for (int i = 0; i < BLOCK - 1; i++)
	{
		block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
	}
	block[BLOCK - 1] = (uint8_t)(block[BLOCK - 1] << 1 ^ carry);
}

bool stamp_mask_init(stamp_mask_t *this, const uint8_t *link,
					 const uint8_t *check, uint32_t epoch, uint8_t icv_bytes)
{
	const aes_t *keys[1] = { &this->check };

	memset(this, 0, sizeof(*this));
	this->epoch = epoch;
	this->icv_bytes = icv_bytes;
	if (!aes_init(&this->link, link, STAMP_KEY_BYTES, false) ||
		!aes_init(&this->check, check, STAMP_KEY_BYTES, false))
	{
		stamp_mask_wipe(this);
		return false;
	}
	aes_each(keys, &this->tail, 1);
	double_block(this->tail.bytes);
	double_block(this->tail.bytes);
	this->tail.bytes[MESSAGE_BYTES(icv_bytes) % BLOCK] ^= 0x80;
	return true;
}

/** epoch | SPI | IV: what makes a pad, and what the check begins with */
static inline void first_block(const stamp_place_t *place, aes_block_t *block)
{
	aes_put(block, (uint64_t)place->mask->epoch << 32 | read_be32(place->esp),
			read_be64(place->esp + ESP_HEADER_BYTES));
}

void stamp_mask_pads(stamp_place_t places[STAMP_GROUP], size_t count,
					 aes_block_t pads[STAMP_GROUP])
{
	const aes_t *keys[STAMP_GROUP];

	if (!count)
	{
		return;
	}
	if (stamp_is_wide(places, count))
	{
		stamp_wide_pads(places, count, pads);
		return;
	}
	for (size_t i = 0; i < count; i++)
	{
		keys[i] = &places[i].mask->link;
		first_block(&places[i], &pads[i]);
	}
	aes_each(keys, pads, count);
}

/**
 * What follows the first block: length (16) | ICV | hints (32), filled up with
 * zeros; the tail has the padding. As words, which take fewer stores than bytes.
 *
 * @return			false: the third block is not needed
 */
static inline bool rest_of_message(const stamp_place_t *place,
								   aes_block_t *second, aes_block_t *third)
{
	const uint64_t bytes = place->bytes;
	const uint64_t hints = read_be32(place->esp - STAMP_HEADER_BYTES);
	const uint64_t icv = read_be64(place->icv);
	uint64_t rest;

	switch (place->mask->icv_bytes)
	{
		case 16:
			rest = read_be64(place->icv + 8);
			aes_put(second, bytes << 48 | icv >> 16, icv << 48 | rest >> 16);
			aes_put(third, rest << 48 | hints << 16, 0);
			return true;
		case 12:
			rest = read_be32(place->icv + 8);
			aes_put(second, bytes << 48 | icv >> 16,
					icv << 48 | rest << 16 | hints >> 16);
			aes_put(third, hints << 48, 0);
			return true;
		default:
			aes_put(second, bytes << 48 | icv >> 16, icv << 48 | hints << 16);
			return false;
	}
}

/** CBC-MAC of all messages side by side, a block of each at a time */
void stamp_mask_check(stamp_place_t places[STAMP_GROUP], size_t count,
					  aes_block_t checks[STAMP_GROUP])
{
	const aes_t *keys[STAMP_GROUP], *longer_keys[STAMP_GROUP];
	aes_block_t second[STAMP_GROUP], third[STAMP_GROUP];
	uint8_t which[STAMP_GROUP];
	size_t longer = 0;

	if (!count)
	{
		return;
	}
	if (stamp_is_wide(places, count))
	{
		stamp_wide_check(places, count, checks);
		return;
	}
	for (size_t i = 0; i < count; i++)
	{
		keys[i] = &places[i].mask->check;
		first_block(&places[i], &checks[i]);
		if (rest_of_message(&places[i], &second[i], &third[longer]))
		{
			aes_xor(&third[longer], places[i].mask->tail.bytes);
			longer_keys[longer] = keys[i];
			which[longer++] = (uint8_t)i;
		}
		else
		{
			aes_xor(&second[i], places[i].mask->tail.bytes);
		}
	}
	aes_each(keys, checks, count);
	for (size_t i = 0; i < count; i++)
	{
		aes_xor(&checks[i], second[i].bytes);
	}
	aes_each(keys, checks, count);
	for (size_t n = 0; n < longer; n++)
	{
		aes_xor(&third[n], checks[which[n]].bytes);
	}
	aes_each(longer_keys, third, longer);
	for (size_t n = 0; n < longer; n++)
	{
		checks[which[n]] = third[n];
	}
}

void stamp_mask_wipe(stamp_mask_t *this)
{
	aes_wipe(&this->link);
	aes_wipe(&this->check);
	OPENSSL_cleanse(this, sizeof(*this));
}
