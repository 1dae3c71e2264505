/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A cipher, or none, and a MAC over what it made (RFC 4303 section 3.3.2), by
 * OpenSSL: AES-CBC (RFC 3602), AES-CTR (RFC 3686), NULL (RFC 2410).
 */

#include "crypto.h"
#include "mac.h"

#include <openssl/crypto.h>
#include <stdlib.h>

typedef struct {
	sa_t public;
	/** NULL if nothing is encrypted */
	EVP_CIPHER *cipher;
	/** [1] encrypts, [0] decrypts. CBC's key schedules differ, and an SA goes
	 * one way: made when the first packet does */
	EVP_CIPHER_CTX *contexts[2];
	/** kept for that */
	uint8_t key[32];
	/** with CTR salt, IV and the counter 1, with CBC the IV */
	uint8_t iv[BLOCK_BYTES];
	size_t salt_bytes;
	mac_t *mac;
} cipher_t;

/** The context of a direction with its key; NULL if the library fails */
static EVP_CIPHER_CTX *context_of(cipher_t *this, int encrypt)
{
	EVP_CIPHER_CTX *context = this->contexts[encrypt];

	if (!context)
	{
		context = EVP_CIPHER_CTX_new();
		if (!context ||
			!EVP_CipherInit_ex(context, this->cipher, NULL, this->key, NULL, encrypt) ||
			!EVP_CIPHER_CTX_set_padding(context, 0))
		{
			EVP_CIPHER_CTX_free(context);
			return NULL;
		}
		this->contexts[encrypt] = context;
	}
	return context;
}

/** Encrypt or decrypt the payload in place */
static bool crypt(cipher_t *this, const place_t *place, int encrypt)
{
	const suite_t *suite = &this->public.suite;
	EVP_CIPHER_CTX *context;
	int len, text = (int)(place->icv - place->payload);

	if (!this->cipher)
	{
		return true;
	}
	context = context_of(this, encrypt);
	memcpy(this->iv + this->salt_bytes, place->payload - suite->iv_bytes,
		   suite->iv_bytes);
	return context &&
		   EVP_CipherInit_ex(context, NULL, NULL, NULL, this->iv, encrypt) &&
		   EVP_CipherUpdate(context, place->payload, &len, place->payload, text) &&
		   len == text;
}

/** The MAC of a packet: from the SPI to the end of the ciphertext, and the high half of its number with ESN */
static bool mac_of(cipher_t *this, const place_t *place, table_t *table,
				   uint8_t out[MAC_BYTES_MAX])
{
	uint8_t high[4];

	write_be32(high, place->high);
	return mac_compute(this->mac,
					   (chunk_t){ place->start, place->icv - place->start },
					   (chunk_t){ high, this->public.suite.has_esn ? 4 : 0 },
					   table, out);
}

static void cipher_open(sa_t *public, place_t *place, table_t *table)
{
	cipher_t *this = (cipher_t*)public;
	uint8_t mac[MAC_BYTES_MAX];

	place->is_done = mac_of(this, place, table, mac) &&
					 !CRYPTO_memcmp(mac, place->icv, public->suite.icv_bytes) &&
					 crypt(this, place, 0);
	/* the right ICV of a forged packet is nobody's business */
	OPENSSL_cleanse(mac, sizeof(mac));
}

static void cipher_seal(sa_t *public, place_t *place, table_t *table)
{
	cipher_t *this = (cipher_t*)public;
	uint8_t mac[MAC_BYTES_MAX];

	place->is_done = crypt(this, place, 1) && mac_of(this, place, table, mac);
	if (place->is_done)
	{
		memcpy(place->icv, mac, public->suite.icv_bytes);
	}
}

bool evp_cipher_decrypt(sa_t *public, const place_t *place)
{
	return crypt((cipher_t*)public, place, 0);
}

static void cipher_destroy(sa_t *public)
{
	cipher_t *this = (cipher_t*)public;

	/* wipes what it frees: OpenSSL's providers clear their contexts */
	EVP_CIPHER_CTX_free(this->contexts[0]);
	EVP_CIPHER_CTX_free(this->contexts[1]);
	EVP_CIPHER_free(this->cipher);
	mac_destroy(this->mac);
	OPENSSL_cleanse(this, sizeof(*this));
	free(this);
}

/** Whether the cipher takes the key, and fills its block or stream with what the suite says */
static bool fits(const cipher_t *this, const keys_t *keys)
{
	const suite_t *suite = &this->public.suite;
	int mode = EVP_CIPHER_get_mode(this->cipher);

	return (size_t)EVP_CIPHER_get_key_length(this->cipher) == keys->encryption.length &&
		   EVP_CIPHER_get_iv_length(this->cipher) == BLOCK_BYTES &&
		   ((mode == EVP_CIPH_CBC_MODE && suite->iv_bytes == BLOCK_BYTES &&
			 suite->align == BLOCK_BYTES) ||
			(mode == EVP_CIPH_CTR_MODE && keys->salt.length + suite->iv_bytes == 12));
}

sa_t *evp_cipher_create(const suite_t *suite, const keys_t *keys)
{
	cipher_t *this = calloc(1, sizeof(*this));
	bool is_sound;

	if (!this)
	{
		return NULL;
	}
	this->public = (sa_t){
		.suite = *suite,
		.open = cipher_open,
		.seal = cipher_seal,
		.destroy = cipher_destroy,
	};
	this->mac = mac_create(suite->mac, keys->primitive, keys->integrity,
						   suite->icv_bytes);
	is_sound = this->mac != NULL;
	if (suite->kind == KIND_CIPHER)
	{
		this->cipher = EVP_CIPHER_fetch(NULL, keys->cipher, NULL);
		is_sound = is_sound && this->cipher && keys->encryption.length <= sizeof(this->key) &&
				   fits(this, keys);
	}
	if (!is_sound)
	{
		cipher_destroy(&this->public);
		return NULL;
	}
	chunk_copy(this->key, keys->encryption);
	chunk_copy(this->iv, keys->salt);
	/* the counter of CTR (RFC 3686 section 4); CBC's IV covers it */
	this->iv[BLOCK_BYTES - 1] = 1;
	this->salt_bytes = keys->salt.length;
	return &this->public;
}
