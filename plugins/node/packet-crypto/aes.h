/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * AES on single blocks, many at a time and under many keys: what peek and
 * stamping need, a few blocks of each packet. EVP costs as much per call as ten
 * blocks do, so the CPU's instructions are used directly where it has them; EVP
 * elsewhere. Both run in constant time.
 */

#ifndef PACKET_CRYPTO_AES_H_
#define PACKET_CRYPTO_AES_H_

#include <endian.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define AES_BLOCK_BYTES 16

typedef struct {
	uint8_t bytes[AES_BLOCK_BYTES];
} __attribute__((aligned(AES_BLOCK_BYTES))) aes_block_t;

/** One key and one direction */
typedef struct {
	/** round keys in the order of their use; of no meaning with evp */
	aes_block_t round[15];
	/** 10, 12 or 14 */
	uint8_t rounds;
	bool decrypts;
	/** the CPU does four blocks in one register (VAES) */
	bool is_wide;
	/** set where the CPU has no instructions for AES */
	EVP_CIPHER_CTX *evp;
} aes_t;

/**
 * Expand a key.
 *
 * @param bytes		16, 24 or 32
 * @param decrypts	for aes_each() to decrypt with it
 * @return			false: no such key, or no memory
 */
bool aes_init(aes_t *this, const uint8_t *key, size_t bytes, bool decrypts);

/** Encrypt, or decrypt, block i with key i in place */
void aes_each(const aes_t *const keys[], aes_block_t blocks[], size_t count);

/** Sixteen bytes, wherever they stand, as the CPU takes them: a block that is read in another way than it was written waits */
typedef uint64_t aes_words_t __attribute__((vector_size(AES_BLOCK_BYTES)));

/** Xor a block, wherever it stands, to another */
static inline void aes_xor(aes_block_t *to, const uint8_t *from)
{
	aes_words_t a, b;

	memcpy(&a, to, sizeof(a));
	memcpy(&b, from, sizeof(b));
	a ^= b;
	memcpy(to, &a, sizeof(a));
}

/** Two words, the highest byte first, as a block */
static inline void aes_put(aes_block_t *to, uint64_t high, uint64_t low)
{
	const aes_words_t words = { htobe64(high), htobe64(low) };

	memcpy(to, &words, sizeof(words));
}

/** Overwrite the key */
void aes_wipe(aes_t *this);

#endif /* PACKET_CRYPTO_AES_H_ */
