/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <stdlib.h>

struct mac_t {
	/** HMAC (RFC 2104), or NULL */
	EVP_MAC_CTX *hmac;
	/** the other two: AES in CBC mode, of which the last block is the MAC */
	EVP_CIPHER_CTX *cbc;
	/** mixed into a last block that is whole, and into a part of one */
	uint8_t whole[BLOCK_BYTES];
	uint8_t part[BLOCK_BYTES];
};

static const uint8_t zero_block[BLOCK_BYTES];

/** Encrypt whole blocks from a zero IV */
static bool cbc_begin(mac_t *this)
{
	return EVP_CipherInit_ex(this->cbc, NULL, NULL, NULL, zero_block, 1);
}

static bool cbc_update(mac_t *this, uint8_t *out, const uint8_t *in, size_t bytes)
{
	int len;

	return EVP_CipherUpdate(this->cbc, out, &len, in, (int)bytes) &&
		   len == (int)bytes;
}

/** AES of one block */
static bool encrypt_block(mac_t *this, uint8_t out[BLOCK_BYTES],
						  const uint8_t in[BLOCK_BYTES])
{
	return cbc_begin(this) && cbc_update(this, out, in, BLOCK_BYTES);
}

/** Times x in GF(2^128) (RFC 4493 section 2.3), without a branch on a secret */
static void doubled(uint8_t out[BLOCK_BYTES], const uint8_t in[BLOCK_BYTES])
{
	uint8_t carry = 0, first = in[0];

	for (int i = BLOCK_BYTES - 1; i >= 0; i--)
	{
		uint8_t byte = in[i];

		out[i] = byte << 1 | carry;
		carry = byte >> 7;
	}
	out[BLOCK_BYTES - 1] ^= 0x87 & -(first >> 7);
}

/**
 * CBC-MAC of message and tail with a subkey mixed into the last block. All but
 * the last one or two blocks go straight from the message; what CBC makes of
 * them is of no use.
 */
static bool cbc_mac(mac_t *this, chunk_t message, chunk_t tail, worker_t *worker,
					uint8_t out[BLOCK_BYTES])
{
	uint8_t last[2 * BLOCK_BYTES] = {};
	const uint8_t *subkey;
	size_t head = (message.length + tail.length - 1) / BLOCK_BYTES * BLOCK_BYTES;
	size_t rest, end;
	uint8_t *unused;

	/* the tail is short: the last block begins in the message, or right behind it */
	head = head > message.length ? message.length / BLOCK_BYTES * BLOCK_BYTES : head;
	rest = message.length - head;
	memcpy(last, message.bytes + head, rest);
	memcpy(last + rest, tail.bytes, tail.length);
	rest += tail.length;
	end = (rest + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
	subkey = rest == end ? this->whole : this->part;
	if (rest != end)
	{
		last[rest] = 0x80;
	}
	for (size_t i = 0; i < BLOCK_BYTES; i++)
	{
		last[end - BLOCK_BYTES + i] ^= subkey[i];
	}
	unused = worker_scratch(worker, head);
	if (!unused || !cbc_begin(this) ||
		(head && !cbc_update(this, unused, message.bytes, head)) ||
		!cbc_update(this, last, last, end))
	{
		return false;
	}
	memcpy(out, last + end - BLOCK_BYTES, BLOCK_BYTES);
	OPENSSL_cleanse(last, sizeof(last));
	return true;
}

/** RFC 4493 section 2.3: both subkeys from the encrypted zero block */
static bool set_up_cmac(mac_t *this)
{
	uint8_t zero[BLOCK_BYTES];
	bool is_done = encrypt_block(this, zero, zero_block);

	if (is_done)
	{
		doubled(this->whole, zero);
		doubled(this->part, this->whole);
	}
	OPENSSL_cleanse(zero, sizeof(zero));
	return is_done;
}

/** RFC 3566 section 4: three keys from the key, of which one encrypts */
static bool set_up_xcbc(mac_t *this)
{
	uint8_t constant[BLOCK_BYTES], key[BLOCK_BYTES];
	uint8_t *derived[] = { key, this->whole, this->part };
	bool is_done = true;

	for (int i = 0; i < 3; i++)
	{
		memset(constant, i + 1, BLOCK_BYTES);
		is_done = is_done && encrypt_block(this, derived[i], constant);
	}
	is_done = is_done && EVP_CipherInit_ex(this->cbc, NULL, NULL, key, zero_block, 1);
	OPENSSL_cleanse(key, sizeof(key));
	return is_done;
}

static bool set_up_cbc(mac_t *this, mac_kind_t kind, const char *primitive,
					   chunk_t key, size_t bytes)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, primitive, NULL);
	bool is_done;

	this->cbc = EVP_CIPHER_CTX_new();
	is_done = cipher && this->cbc && bytes <= BLOCK_BYTES &&
			  EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CBC_MODE &&
			  EVP_CIPHER_get_block_size(cipher) == BLOCK_BYTES &&
			  key.length == BLOCK_BYTES &&
			  (size_t)EVP_CIPHER_get_key_length(cipher) == key.length &&
			  EVP_CipherInit_ex(this->cbc, cipher, NULL, key.bytes, zero_block, 1) &&
			  EVP_CIPHER_CTX_set_padding(this->cbc, 0) &&
			  (kind == MAC_CMAC ? set_up_cmac(this) : set_up_xcbc(this));
	EVP_CIPHER_free(cipher);
	return is_done;
}

static bool set_up_hmac(mac_t *this, const char *hash, chunk_t key, size_t bytes)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char*)hash, 0),
		OSSL_PARAM_construct_end(),
	};
	bool is_done;

	this->hmac = mac ? EVP_MAC_CTX_new(mac) : NULL;
	is_done = this->hmac && key.length &&
			  EVP_MAC_init(this->hmac, key.bytes, key.length, params) &&
			  EVP_MAC_CTX_get_mac_size(this->hmac) >= bytes &&
			  EVP_MAC_CTX_get_mac_size(this->hmac) <= MAC_BYTES_MAX;
	EVP_MAC_free(mac);
	return is_done;
}

mac_t *mac_create(mac_kind_t kind, const char *primitive, chunk_t key, size_t bytes)
{
	mac_t *this = calloc(1, sizeof(*this));

	if (this && (kind == MAC_HMAC ? !set_up_hmac(this, primitive, key, bytes)
								  : !set_up_cbc(this, kind, primitive, key, bytes)))
	{
		mac_destroy(this);
		return NULL;
	}
	return this;
}

bool mac_compute(mac_t *this, chunk_t message, chunk_t tail, worker_t *worker,
				 uint8_t out[MAC_BYTES_MAX])
{
	size_t len;

	if (!this->hmac)
	{
		return cbc_mac(this, message, tail, worker, out);
	}
	/* without a key: the state that the key made is kept */
	return EVP_MAC_init(this->hmac, NULL, 0, NULL) &&
		   EVP_MAC_update(this->hmac, message.bytes, message.length) &&
		   (!tail.length || EVP_MAC_update(this->hmac, tail.bytes, tail.length)) &&
		   EVP_MAC_final(this->hmac, out, &len, MAC_BYTES_MAX);
}

void mac_destroy(mac_t *this)
{
	if (this)
	{
		EVP_MAC_CTX_free(this->hmac);
		EVP_CIPHER_CTX_free(this->cbc);
		OPENSSL_cleanse(this, sizeof(*this));
		free(this);
	}
}
