/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * AEADs by OpenSSL: AES-GCM (RFC 4106), AES-CCM (RFC 4309), ChaCha20-Poly1305
 * (RFC 7634), and AES-GMAC, which is GCM with nothing to encrypt (RFC 4543).
 */

#include "crypto.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define NONCE_BYTES_MAX 12

/** Costs of a byte: GMAC encrypts nothing */
#define COST_AEAD 250
#define COST_GMAC 150

typedef struct {
	sa_t public;
	EVP_CIPHER *cipher;
	uint8_t key[32];
	bool is_ccm;
	uint8_t salt[NONCE_BYTES_MAX];
	size_t salt_bytes;
	unsigned workers;
	/** of each worker; [1] encrypts, [0] decrypts: made when its first packet goes that
	 * way, for most SAs have one direction, and CCM's cannot be changed */
	EVP_CIPHER_CTX *contexts[][2];
} aead_t;

/** Everything that stays for all packets of a direction */
static bool set_up(const aead_t *this, EVP_CIPHER_CTX *context, int encrypt)
{
	return EVP_CipherInit_ex(context, this->cipher, NULL, NULL, NULL, encrypt) &&
		   EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN,
							   this->is_ccm ? 11 : 12, NULL) &&
		   (!this->is_ccm ||
			EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG,
								(int)this->public.suite.icv_bytes, NULL)) &&
		   EVP_CipherInit_ex(context, NULL, NULL, this->key, NULL, encrypt);
}

/** A worker's context of a direction with its key; NULL if the library fails */
static EVP_CIPHER_CTX *context_of(aead_t *this, const worker_t *worker, int encrypt)
{
	EVP_CIPHER_CTX *context = this->contexts[worker->index][encrypt];

	if (!context)
	{
		context = EVP_CIPHER_CTX_new();
		if (!context || !set_up(this, context, encrypt))
		{
			EVP_CIPHER_CTX_free(context);
			return NULL;
		}
		this->contexts[worker->index][encrypt] = context;
	}
	return context;
}

/** Set direction, nonce and additional data: all but the text */
static bool begin(const aead_t *this, EVP_CIPHER_CTX *context, const place_t *place,
				  int encrypt, size_t text)
{
	const suite_t *suite = &this->public.suite;
	const uint8_t *iv = place->payload - suite->iv_bytes;
	uint8_t nonce[NONCE_BYTES_MAX];
	int len;

	memcpy(nonce, this->salt, this->salt_bytes);
	memcpy(nonce + this->salt_bytes, iv, suite->iv_bytes);
	if (!EVP_CipherInit_ex(context, NULL, NULL, NULL, nonce, encrypt))
	{
		return false;
	}
	if (!encrypt &&
		!EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG,
							 (int)suite->icv_bytes, place->icv))
	{
		return false;
	}
	if (this->is_ccm &&
		!EVP_CipherUpdate(context, NULL, &len, NULL, (int)text))
	{
		return false;
	}
	if (!EVP_CipherUpdate(context, NULL, &len, place->aad, (int)place->aad_bytes))
	{
		return false;
	}
	/* IV and what would be encrypted are additional data, too (RFC 4543 section 3.3) */
	return suite->kind != KIND_GMAC ||
		   EVP_CipherUpdate(context, NULL, &len, iv, (int)(place->icv - iv));
}

/** The text to out, and the end of the message: with CCM update judges, with the others final */
static bool finish(const aead_t *this, EVP_CIPHER_CTX *context,
				   const place_t *place, uint8_t *out, size_t text)
{
	uint8_t rest[BLOCK_BYTES];
	int len;

	if (text &&
		(!EVP_CipherUpdate(context, out, &len, place->payload, (int)text) ||
		 len != (int)text))
	{
		return false;
	}
	return this->is_ccm || EVP_CipherFinal_ex(context, rest, &len);
}

static size_t text_bytes(const sa_t *this, const place_t *place)
{
	return this->suite.kind == KIND_GMAC ? 0 : (size_t)(place->icv - place->payload);
}

/** OpenSSL hands plaintext out before it has checked the ICV: it is taken elsewhere first */
static void aead_open(sa_t *public, place_t *place, worker_t *worker)
{
	aead_t *this = (aead_t*)public;
	size_t text = text_bytes(public, place);
	uint8_t *plain = worker_scratch(worker, text);
	EVP_CIPHER_CTX *context = context_of(this, worker, 0);

	place->is_done = plain && context && begin(this, context, place, 0, text) &&
					 finish(this, context, place, plain, text);
	if (place->is_done)
	{
		memcpy(place->payload, plain, text);
	}
}

static void aead_seal(sa_t *public, place_t *place, worker_t *worker)
{
	aead_t *this = (aead_t*)public;
	size_t text = text_bytes(public, place);
	EVP_CIPHER_CTX *context = context_of(this, worker, 1);

	place->is_done = context && begin(this, context, place, 1, text) &&
					 finish(this, context, place, place->payload, text) &&
					 EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG,
										 (int)public->suite.icv_bytes, place->icv);
}

static void aead_destroy(sa_t *public)
{
	aead_t *this = (aead_t*)public;

	/* wipes what it frees: OpenSSL's providers clear their contexts */
	for (unsigned i = 0; i < this->workers; i++)
	{
		EVP_CIPHER_CTX_free(this->contexts[i][0]);
		EVP_CIPHER_CTX_free(this->contexts[i][1]);
	}
	EVP_CIPHER_free(this->cipher);
	OPENSSL_cleanse(this, sizeof(*this));
	free(this);
}

/** Whether the cipher takes the key and the nonce */
static bool fits(const aead_t *this, const keys_t *keys)
{
	return EVP_CIPHER_get_flags(this->cipher) & EVP_CIPH_FLAG_AEAD_CIPHER &&
		   keys->encryption.length <= sizeof(this->key) &&
		   (size_t)EVP_CIPHER_get_key_length(this->cipher) == keys->encryption.length &&
		   keys->salt.length + this->public.suite.iv_bytes == (this->is_ccm ? 11 : 12);
}

sa_t *evp_aead_create(const suite_t *suite, const keys_t *keys, unsigned workers)
{
	aead_t *this = calloc(1, sizeof(*this) + workers * sizeof(this->contexts[0]));

	if (!this)
	{
		return NULL;
	}
	this->public = (sa_t){
		.suite = *suite,
		.cost = suite->kind == KIND_GMAC ? COST_GMAC : COST_AEAD,
		.open = aead_open,
		.seal = aead_seal,
		.destroy = aead_destroy,
	};
	this->workers = workers;
	this->cipher = EVP_CIPHER_fetch(NULL, keys->cipher, NULL);
	this->is_ccm = this->cipher &&
				   EVP_CIPHER_get_mode(this->cipher) == EVP_CIPH_CCM_MODE;
	if (!this->cipher || !fits(this, keys))
	{
		aead_destroy(&this->public);
		return NULL;
	}
	chunk_copy(this->key, keys->encryption);
	chunk_copy(this->salt, keys->salt);
	this->salt_bytes = keys->salt.length;
	return &this->public;
}
