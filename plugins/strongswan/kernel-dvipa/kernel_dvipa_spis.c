/*
 * Copyright (C) 2026 the strongswan-dvipa authors
 *
 * This program is free software; you can redistribute it and/or modify it
 * under the terms of the GNU General Public License as published by the
 * Free Software Foundation; either version 2 of the License, or (at your
 * option) any later version.  See <http://www.fsf.org/copyleft/gpl.txt>.
 *
 * This program is distributed in the hope that it will be useful, but
 * WITHOUT ANY WARRANTY; without even the implied warranty of MERCHANTABILITY
 * or FITNESS FOR A PARTICULAR PURPOSE.  See the GNU General Public License
 * for more details.
 */

#include "kernel_dvipa_spis.h"

#include <collections/hashtable.h>

/**
 * SPIs below are reserved (RFC 4303, section 2.1)
 */
#define SPI_MIN 0x100

/**
 * Seconds after which an SPI that was handed out but never used is free again,
 * as in the kernel
 */
#define SPI_LIFETIME 165

/**
 * How often to try for a free one
 */
#define TRIES 1000

typedef struct private_kernel_dvipa_spis_t private_kernel_dvipa_spis_t;
typedef struct reserved_t reserved_t;

/**
 * Private data of a kernel_dvipa_spis_t.
 */
struct private_kernel_dvipa_spis_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_spis_t public;

	/**
	 * SPIs handed out, as reserved_t by SPI
	 */
	hashtable_t *reserved;

	/**
	 * Upper bits of every SPI
	 */
	uint32_t prefix;

	/**
	 * Number of these bits
	 */
	u_int prefix_bits;

	/**
	 * Source of SPIs, created when first needed
	 */
	rng_t *rng;
};

/**
 * An SPI handed out
 */
struct reserved_t {

	/** SPI, in network order */
	uint32_t spi;

	/** time_monotonic() until which it is taken */
	time_t until;
};

/**
 * Hash an SPI
 */
static u_int hash_spi(const void *key)
{
	return chunk_hash(chunk_create((u_char*)key, sizeof(uint32_t)));
}

/**
 * Compare SPIs
 */
static bool equals_spi(const void *a, const void *b)
{
	return *(uint32_t*)a == *(uint32_t*)b;
}

/**
 * Free SPIs that were never used
 */
static void forget_old(private_kernel_dvipa_spis_t *this)
{
	enumerator_t *enumerator;
	reserved_t *reserved;
	time_t now = time_monotonic(NULL);

	enumerator = this->reserved->create_enumerator(this->reserved);
	while (enumerator->enumerate(enumerator, NULL, &reserved))
	{
		if (reserved->until <= now)
		{
			this->reserved->remove_at(this->reserved, enumerator);
			free(reserved);
		}
	}
	enumerator->destroy(enumerator);
}

METHOD(kernel_dvipa_spis_t, draw, bool,
	private_kernel_dvipa_spis_t *this, kernel_dvipa_taken_t taken, void *user,
	uint32_t *spi)
{
	reserved_t *reserved;
	uint32_t value;
	int i;

	if (!this->rng)
	{
		this->rng = lib->crypto->create_rng(lib->crypto, RNG_WEAK);
	}
	forget_old(this);
	for (i = 0; this->rng && i < TRIES; i++)
	{
		if (!this->rng->get_bytes(this->rng, sizeof(value), (uint8_t*)&value))
		{
			return FALSE;
		}
		if (this->prefix_bits)
		{
			value >>= this->prefix_bits;
			value |= this->prefix << (32 - this->prefix_bits);
		}
		*spi = htonl(value);
		if (value >= SPI_MIN && !taken(user, *spi) &&
			!this->reserved->get(this->reserved, spi))
		{
			INIT(reserved,
				.spi = *spi,
				.until = time_monotonic(NULL) + SPI_LIFETIME,
			);
			this->reserved->put(this->reserved, &reserved->spi, reserved);
			return TRUE;
		}
	}
	return FALSE;
}

METHOD(kernel_dvipa_spis_t, forget, void,
	private_kernel_dvipa_spis_t *this, uint32_t spi)
{
	free(this->reserved->remove(this->reserved, &spi));
}

/**
 * Destroy a reserved_t
 */
static void destroy_reserved(reserved_t *reserved, const void *key)
{
	free(reserved);
}

METHOD(kernel_dvipa_spis_t, destroy, void,
	private_kernel_dvipa_spis_t *this)
{
	this->reserved->destroy_function(this->reserved, (void*)destroy_reserved);
	DESTROY_IF(this->rng);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_spis_t *kernel_dvipa_spis_create(uint32_t prefix,
											  u_int prefix_bits)
{
	private_kernel_dvipa_spis_t *this;

	INIT(this,
		.public = {
			.draw = _draw,
			.forget = _forget,
			.destroy = _destroy,
		},
		.reserved = hashtable_create(hash_spi, equals_spi, 32),
		.prefix = prefix,
		.prefix_bits = prefix_bits,
	);
	return &this->public;
}
