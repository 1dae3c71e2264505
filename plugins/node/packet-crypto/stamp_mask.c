/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "stamp_mask.h"
#include "crypto.h"

#include <openssl/crypto.h>

#define BLOCK AES_BLOCK_BYTES
/** epoch | SPI | IV, length of the ciphertext, ICV, hints: two blocks or three, the last never whole */
#define HINT_BYTES 4
#define MESSAGE_BYTES(icv_bytes) (BLOCK + 2 + (icv_bytes) + HINT_BYTES)
#define MESSAGE_BLOCKS_MAX 3

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
static void first_block(const stamp_place_t *place, aes_block_t *block)
{
	write_be32(block->bytes, place->mask->epoch);
	memcpy(block->bytes + 4, place->esp, 4);
	memcpy(block->bytes + 8, place->esp + 8, 8);
}

void stamp_mask_pads(const stamp_place_t places[], size_t count,
					 aes_block_t pads[])
{
	const aes_t *keys[STAMP_GROUP];

	if (!count)
	{
		return;
	}
	for (size_t i = 0; i < count; i++)
	{
		keys[i] = &places[i].mask->link;
		first_block(&places[i], &pads[i]);
	}
	aes_each(keys, pads, count);
}

/** What follows the first block, filled up with zeros; the tail has the padding */
static void rest_of_message(const stamp_place_t *place,
							aes_block_t rest[MESSAGE_BLOCKS_MAX - 1])
{
	const long bytes = stamp_ciphertext_bytes(place);
	const uint8_t icv_bytes = place->mask->icv_bytes;
	uint8_t *to = rest[0].bytes;

	memset(rest, 0, (MESSAGE_BLOCKS_MAX - 1) * BLOCK);
	to[0] = (uint8_t)(bytes >> 8);
	to[1] = (uint8_t)bytes;
	stamp_copy_icv(to + 2, place->icv, icv_bytes);
	memcpy(to + 2 + icv_bytes, place->esp - STAMP_HEADER_BYTES, HINT_BYTES);
}

/** CBC-MAC of all messages side by side, a block of each at a time */
void stamp_mask_check(const stamp_place_t places[], size_t count,
					  aes_block_t checks[])
{
	const aes_t *keys[STAMP_GROUP];
	aes_block_t rest[STAMP_GROUP][MESSAGE_BLOCKS_MAX - 1];
	aes_block_t third[STAMP_GROUP];
	uint8_t which[STAMP_GROUP];
	size_t longer = 0;

	if (!count)
	{
		return;
	}
	for (size_t i = 0; i < count; i++)
	{
		keys[i] = &places[i].mask->check;
		first_block(&places[i], &checks[i]);
		rest_of_message(&places[i], rest[i]);
	}
	aes_each(keys, checks, count);
	for (size_t i = 0; i < count; i++)
	{
		aes_xor(&checks[i], rest[i][0].bytes);
		if (MESSAGE_BYTES(places[i].mask->icv_bytes) < 2 * BLOCK)
		{
			aes_xor(&checks[i], places[i].mask->tail.bytes);
		}
	}
	aes_each(keys, checks, count);
	for (size_t i = 0; i < count; i++)
	{
		if (MESSAGE_BYTES(places[i].mask->icv_bytes) < 2 * BLOCK)
		{
			continue;
		}
		which[longer] = (uint8_t)i;
		keys[longer] = &places[i].mask->check;
		third[longer] = checks[i];
		aes_xor(&third[longer], rest[i][1].bytes);
		aes_xor(&third[longer], places[i].mask->tail.bytes);
		longer++;
	}
	aes_each(keys, third, longer);
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
