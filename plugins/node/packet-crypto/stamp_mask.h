/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * What hides an ICV between target and routing host, and what vouches for the
 * packet (docs/outbound.md section 4), of one SA in one epoch. For both ends;
 * `src/ipsec/stamp-mask.ts` and `stamp-packet.ts` have the same for one packet.
 *
 *  |    Version    |     Flags     | Traffic class |   Hop limit   |   0
 *  |                           SA group                            |   4
 *  |                         Check (64 bits)                       |   8
 *  |       SPI | number zero | IV | ciphertext | masked ICV        |  16
 */

#ifndef PACKET_CRYPTO_STAMP_MASK_H_
#define PACKET_CRYPTO_STAMP_MASK_H_

#include "aes.h"

#include <string.h>

/** Bytes of the two keys */
#define STAMP_KEY_BYTES 16
#define STAMP_HEADER_BYTES 16
#define STAMP_VERSION 1
/** the only flag there is */
#define STAMP_DONT_FRAGMENT 1
#define STAMP_CHECK_BYTES 8
/** SPI, number and IV, in front of the ciphertext */
#define STAMP_ESP_BYTES 16
/** The check has 16 bits for it */
#define STAMP_CIPHERTEXT_MAX 0xffff
/** Packets in one go */
#define STAMP_GROUP 32

typedef struct {
	aes_t link;
	aes_t check;
	/** padding and subkey: what the last block of each message of the check gets (RFC 4493) */
	aes_block_t tail;
	uint32_t epoch;
	uint8_t icv_bytes;
} stamp_mask_t;

/** One packet that is masked, unmasked or checked */
typedef struct {
	const stamp_mask_t *mask;
	/** SPI .. masked ICV, with room for the stamp header in front */
	uint8_t *esp;
	uint8_t *icv;
	/** of ciphertext, between IV and ICV */
	uint32_t bytes;
} stamp_place_t;

/**
 * Expand the keys, of STAMP_KEY_BYTES each.
 *
 * @param icv_bytes	8, 12 or 16
 * @return			false: no memory
 */
bool stamp_mask_init(stamp_mask_t *this, const uint8_t *link,
					 const uint8_t *check, uint32_t epoch, uint8_t icv_bytes);

/** Copy an ICV of 8, 12 or 16 bytes */
static inline void stamp_copy_icv(uint8_t *to, const uint8_t *from, uint8_t bytes)
{
	if (bytes == 16)
	{
		memcpy(to, from, 16);
		return;
	}
	memcpy(to, from, 8);
	if (bytes == 12)
	{
		memcpy(to + 8, from + 8, 4);
	}
}

/** Xor the first bytes of a block to an ICV */
static inline void stamp_xor_icv(uint8_t *icv, const aes_block_t *block,
								 uint8_t bytes)
{
	aes_block_t sum;

	if (bytes < sizeof(sum))
	{
		memset(&sum, 0, sizeof(sum));
	}
	stamp_copy_icv(sum.bytes, icv, bytes);
	aes_xor(&sum, block->bytes);
	stamp_copy_icv(icv, sum.bytes, bytes);
}

/**
 * What is to be xored to the ICVs of packets, to mask them or to take the masks off.
 * What is behind the last place and the last pad is overwritten.
 */
void stamp_mask_pads(stamp_place_t places[STAMP_GROUP], size_t count,
					 aes_block_t pads[STAMP_GROUP]);

/** The checks of packets as they stand, likewise: the first bytes of each block */
void stamp_mask_check(stamp_place_t places[STAMP_GROUP], size_t count,
					  aes_block_t checks[STAMP_GROUP]);

/** Overwrite the keys */
void stamp_mask_wipe(stamp_mask_t *this);

#endif /* PACKET_CRYPTO_STAMP_MASK_H_ */
