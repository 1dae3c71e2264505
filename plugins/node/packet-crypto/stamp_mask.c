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

static void xor_bytes(uint8_t *to, const uint8_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		to[i] ^= from[i];
	}
}

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

void stamp_mask_apply(const stamp_place_t places[], size_t count)
{
	const aes_t *keys[STAMP_GROUP];
	aes_block_t pads[STAMP_GROUP];

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
	for (size_t i = 0; i < count; i++)
	{
		xor_bytes(places[i].icv, pads[i].bytes, places[i].mask->icv_bytes);
	}
	OPENSSL_cleanse(pads, sizeof(pads));
}

/** What follows the first block, filled up with zeros; the tail has the padding */
static void rest_of_message(const stamp_place_t *place, uint8_t *rest)
{
	const long bytes = stamp_ciphertext_bytes(place);
	const uint8_t icv_bytes = place->mask->icv_bytes;

	memset(rest, 0, (MESSAGE_BLOCKS_MAX - 1) * BLOCK);
	rest[0] = (uint8_t)(bytes >> 8);
	rest[1] = (uint8_t)bytes;
	memcpy(rest + 2, place->icv, icv_bytes);
	memcpy(rest + 2 + icv_bytes, place->esp - STAMP_HEADER_BYTES, HINT_BYTES);
}

/** CBC-MAC of all messages side by side, a block of each at a time */
void stamp_mask_check(const stamp_place_t places[], size_t count,
					  aes_block_t checks[])
{
	const aes_t *keys[STAMP_GROUP], *longer[STAMP_GROUP];
	uint8_t rest[STAMP_GROUP][(MESSAGE_BLOCKS_MAX - 1) * BLOCK];
	aes_block_t blocks[STAMP_GROUP];
	size_t which[STAMP_GROUP], long_ones = 0;

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
		const stamp_mask_t *mask = places[i].mask;

		xor_bytes(checks[i].bytes, rest[i], BLOCK);
		if (MESSAGE_BYTES(mask->icv_bytes) <= 2 * BLOCK)
		{
			xor_bytes(checks[i].bytes, mask->tail.bytes, BLOCK);
			continue;
		}
		which[long_ones++] = i;
	}
	aes_each(keys, checks, count);
	for (size_t n = 0; n < long_ones; n++)
	{
		const size_t i = which[n];

		longer[n] = keys[i];
		blocks[n] = checks[i];
		xor_bytes(blocks[n].bytes, rest[i] + BLOCK, BLOCK);
		xor_bytes(blocks[n].bytes, places[i].mask->tail.bytes, BLOCK);
	}
	aes_each(longer, blocks, long_ones);
	for (size_t n = 0; n < long_ones; n++)
	{
		checks[which[n]] = blocks[n];
	}
}

void stamp_mask_wipe(stamp_mask_t *this)
{
	aes_wipe(&this->link);
	aes_wipe(&this->check);
	OPENSSL_cleanse(this, sizeof(*this));
}
