/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "chacha.h"

#include <openssl/crypto.h>
#include <string.h>

/** A row of the state, which is a matrix of four: its four quarter rounds at once */
typedef uint32_t row_t __attribute__((vector_size(16)));

#define ROTATE(row, bits) (((row) << (bits)) | ((row) >> (32 - (bits))))

/** Turns a row by n words, so that diagonals stand in columns, or back */
#define TURN(row, n) __builtin_shuffle(row, \
	(row_t){ (n) & 3, ((n) + 1) & 3, ((n) + 2) & 3, ((n) + 3) & 3 })

static inline void quarter_rounds(row_t s[4])
{
	s[0] += s[1]; s[3] ^= s[0]; s[3] = ROTATE(s[3], 16);
	s[2] += s[3]; s[1] ^= s[2]; s[1] = ROTATE(s[1], 12);
	s[0] += s[1]; s[3] ^= s[0]; s[3] = ROTATE(s[3], 8);
	s[2] += s[3]; s[1] ^= s[2]; s[1] = ROTATE(s[1], 7);
}

void chacha_block(const uint8_t key[CHACHA_KEY_BYTES],
				  const uint8_t nonce[CHACHA_NONCE_BYTES], uint32_t counter,
				  uint8_t out[CHACHA_BLOCK_BYTES])
{
	row_t start[4] = { { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 } };
	row_t s[4];

	memcpy(&start[1], key, 16);
	memcpy(&start[2], key + 16, 16);
	memcpy((uint8_t*)&start[3] + 4, nonce, CHACHA_NONCE_BYTES);
	start[3][0] = counter;
	memcpy(s, start, sizeof(s));
	for (int i = 0; i < 10; i++)
	{
		quarter_rounds(s);
		s[1] = TURN(s[1], 1);
		s[2] = TURN(s[2], 2);
		s[3] = TURN(s[3], 3);
		quarter_rounds(s);
		s[1] = TURN(s[1], 3);
		s[2] = TURN(s[2], 2);
		s[3] = TURN(s[3], 1);
	}
	for (int i = 0; i < 4; i++)
	{
		s[i] += start[i];
	}
	memcpy(out, s, CHACHA_BLOCK_BYTES);
	OPENSSL_cleanse(start, sizeof(start));
	OPENSSL_cleanse(s, sizeof(s));
}
