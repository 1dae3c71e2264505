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

typedef struct {
	field_multiply_t multiply;
	bool has_esn;
	/** H */
	field_t hash;
	/** powers of H, made when the first packet is corrected: most SAs never are */
	field_t *powers;
} correction_t;

/**
 * Begin with the AES key, without salt, which is not kept.
 *
 * @return			false: no such key, or no memory
 */
bool correction_init(correction_t *this, const uint8_t *key, size_t bytes,
					 bool has_esn);

/**
 * Compute what is to be xored to the tag.
 *
 * @param blocks	of ciphertext, up to CORRECTED_BLOCKS_MAX
 * @return			false: no memory
 */
bool correction_of(correction_t *this, uint32_t high, uint32_t low,
				   uint32_t blocks, aes_block_t *out);

/** Overwrite H and its powers */
void correction_wipe(correction_t *this);

#endif /* PACKET_CRYPTO_CORRECTION_H_ */
