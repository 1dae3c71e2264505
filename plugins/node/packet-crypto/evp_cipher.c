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

/** Cost of a byte: of one that is opened; CBC takes twice as long to seal */
#define COST 700

/** What one worker works with, made when its first packet needs it: OpenSSL's contexts are nobody's at a time but one's */
typedef struct {
	/** [1] encrypts, [0] decrypts. CBC's key schedules differ, and an SA goes one way */
	EVP_CIPHER_CTX *contexts[2];
	mac_t *mac;
} engine_t;

typedef struct {
	sa_t public;
	/** NULL if nothing is encrypted */
	EVP_CIPHER *cipher;
	/** what engines are made from */
	uint8_t key[32];
	char primitive[32];
	uint8_t integrity[MAC_BYTES_MAX];
	size_t integrity_bytes;
	/** with CTR salt, room for the IV, and the counter 1, with CBC room for the IV */
	uint8_t iv[BLOCK_BYTES];
	size_t salt_bytes;
	unsigned workers;
	engine_t engines[];
} cipher_t;

/** A worker's context of a direction with its key; NULL if the library fails */
static EVP_CIPHER_CTX *context_of(cipher_t *this, const worker_t *worker, int encrypt)
{
	EVP_CIPHER_CTX **place = &this->engines[worker->index].contexts[encrypt];
	EVP_CIPHER_CTX *context = *place;

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
		*place = context;
	}
	return context;
}

/** A worker's MAC with its key; NULL if the library fails */
static mac_t *mac_context(cipher_t *this, unsigned worker)
{
	engine_t *engine = &this->engines[worker];

	if (!engine->mac)
	{
		engine->mac = mac_create(this->public.suite.mac, this->primitive,
								 (chunk_t){ this->integrity, this->integrity_bytes },
								 this->public.suite.icv_bytes);
	}
	return engine->mac;
}

/** Encrypt or decrypt the payload in place */
static bool crypt(cipher_t *this, const place_t *place, const worker_t *worker,
				  int encrypt)
{
	const suite_t *suite = &this->public.suite;
	EVP_CIPHER_CTX *context;
	uint8_t iv[BLOCK_BYTES];
	int len, text = (int)(place->icv - place->payload);

	if (!this->cipher)
	{
		return true;
	}
	context = context_of(this, worker, encrypt);
	memcpy(iv, this->iv, sizeof(iv));
	memcpy(iv + this->salt_bytes, place->payload - suite->iv_bytes,
		   suite->iv_bytes);
	return context &&
		   EVP_CipherInit_ex(context, NULL, NULL, NULL, iv, encrypt) &&
		   EVP_CipherUpdate(context, place->payload, &len, place->payload, text) &&
		   len == text;
}

/** The MAC of a packet: from the SPI to the end of the ciphertext, and the high half of its number with ESN */
static bool mac_of(cipher_t *this, const place_t *place, worker_t *worker,
				   uint8_t out[MAC_BYTES_MAX])
{
	mac_t *mac = mac_context(this, worker->index);
	uint8_t high[4];

	write_be32(high, place->high);
	return mac && mac_compute(mac,
					   (chunk_t){ place->start, place->icv - place->start },
					   (chunk_t){ high, this->public.suite.has_esn ? 4 : 0 },
					   worker, out);
}

static void cipher_open(sa_t *public, place_t *place, worker_t *worker)
{
	cipher_t *this = (cipher_t*)public;
	uint8_t mac[MAC_BYTES_MAX];

	place->is_done = mac_of(this, place, worker, mac) &&
					 !CRYPTO_memcmp(mac, place->icv, public->suite.icv_bytes) &&
					 crypt(this, place, worker, 0);
	/* the right ICV of a forged packet is nobody's business */
	OPENSSL_cleanse(mac, sizeof(mac));
}

static void cipher_seal(sa_t *public, place_t *place, worker_t *worker)
{
	cipher_t *this = (cipher_t*)public;
	uint8_t mac[MAC_BYTES_MAX];

	place->is_done = crypt(this, place, worker, 1) && mac_of(this, place, worker, mac);
	if (place->is_done)
	{
		memcpy(place->icv, mac, public->suite.icv_bytes);
	}
}

bool evp_cipher_decrypt(sa_t *public, const place_t *place, const worker_t *worker)
{
	return crypt((cipher_t*)public, place, worker, 0);
}

static void cipher_destroy(sa_t *public)
{
	cipher_t *this = (cipher_t*)public;

	/* wipes what it frees: OpenSSL's providers clear their contexts */
	for (unsigned i = 0; i < this->workers; i++)
	{
		EVP_CIPHER_CTX_free(this->engines[i].contexts[0]);
		EVP_CIPHER_CTX_free(this->engines[i].contexts[1]);
		mac_destroy(this->engines[i].mac);
	}
	EVP_CIPHER_free(this->cipher);
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

sa_t *evp_cipher_create(const suite_t *suite, const keys_t *keys, unsigned workers)
{
	cipher_t *this = calloc(1, sizeof(*this) + workers * sizeof(this->engines[0]));
	bool is_sound;

	if (!this)
	{
		return NULL;
	}
	this->public = (sa_t){
		.suite = *suite,
		.cost = COST,
		.open = cipher_open,
		.seal = cipher_seal,
		.destroy = cipher_destroy,
	};
	this->workers = workers;
	is_sound = keys->integrity.length <= sizeof(this->integrity);
	if (is_sound)
	{
		memcpy(this->primitive, keys->primitive, sizeof(this->primitive));
		chunk_copy(this->integrity, keys->integrity);
		this->integrity_bytes = keys->integrity.length;
		/* the caller's at once: it shows whether the library has it */
		is_sound = mac_context(this, 0) != NULL;
	}
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
