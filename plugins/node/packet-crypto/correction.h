/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * What a packet's number contributes to its AES-GCM tag: D * H^(m+2), with
 * D = 0^32 | low 32, with ESN 0^32 | high 32 | low 32, and m blocks of ciphertext
 * (docs/outbound.md section 4; `src/ipsec/gcm-correction.ts` is the same).
 */

#ifndef PACKET_CRYPTO_CORRECTION_H_
#define PACKET_CRYPTO_CORRECTION_H_

#include "aes.h"
#include "field.h"

#include <stdbool.h>
#include <stddef.h>

/** 65 535 bytes */
#define CORRECTED_BLOCKS_MAX 4096
/** Packets in one go */
#define CORRECTED_MAX 32

typedef struct {
	field_multiply_t multiply;
	field_scale_t scale;
	bool has_esn;
	/** H */
	field_t hash;
	/** of H, made when the first packet is corrected: most SAs never are */
	field_t *powers;
} correction_t;

/** The small powers of H: packets of up to 2000 bytes need no other */
#define CORRECTED_SMALL 128

/** Packets that get numbers, up to CORRECTED_MAX: what is to be multiplied for each */
typedef struct {
	uint64_t words[CORRECTED_MAX];
	const field_t *powers[CORRECTED_MAX];
	/** of long packets */
	field_t products[CORRECTED_MAX];
	field_scale_t scale;
	size_t count;
	size_t longer;
} corrections_t;

/**
 * Begin with the AES key, without salt, which is not kept.
 *
 * @return			false: no such key, or no memory
 */
bool correction_init(correction_t *this, const uint8_t *key, size_t bytes,
					 bool has_esn);

/** Make the powers of H; false: no memory */
bool correction_make_powers(correction_t *this);

/** Have the powers of H; false: no memory */
static inline bool correction_ready(correction_t *this)
{
	return this->powers || correction_make_powers(this);
}

/** The power for a packet that is longer than the small ones are for */
const field_t *correction_large_power(corrections_t *this, const correction_t *of,
									  uint32_t power);

/**
 * Add a packet, whose SA is ready.
 *
 * @param blocks	of ciphertext, up to CORRECTED_BLOCKS_MAX
 */
static inline void corrections_add(corrections_t *this, const correction_t *of,
								   uint32_t high, uint32_t low, uint32_t blocks)
{
	const uint32_t power = blocks + 2;
	const size_t i = this->count++;

	/* times x^32 it is D: the number without its leading zeros */
	this->words[i] = of->has_esn ? (uint64_t)high << 32 | low : (uint64_t)low << 32;
	this->powers[i] = power < CORRECTED_SMALL ? &of->powers[power] :
					  correction_large_power(this, of, power);
	this->scale = of->scale;
}

/** What is to be xored to the tag of each */
void corrections_end(corrections_t *this, aes_block_t blocks[]);

/** Overwrite H and its powers */
void correction_wipe(correction_t *this);

#endif /* PACKET_CRYPTO_CORRECTION_H_ */
