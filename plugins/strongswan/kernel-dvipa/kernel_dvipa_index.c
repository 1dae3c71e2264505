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

#include "kernel_dvipa_index.h"

#include <collections/hashtable.h>

typedef struct private_kernel_dvipa_index_t private_kernel_dvipa_index_t;

/**
 * Private data of a kernel_dvipa_index_t.
 */
struct private_kernel_dvipa_index_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_index_t public;

	/**
	 * SAs by running number
	 */
	hashtable_t *by_id;

	/**
	 * The same SAs by SPI, of which there may be several
	 */
	hashlist_t *by_spi;
};

/**
 * Hash a running number
 */
static u_int hash_id(const void *key)
{
	return chunk_hash(chunk_create((u_char*)key, sizeof(uint64_t)));
}

/**
 * Compare running numbers
 */
static bool equals_id(const void *a, const void *b)
{
	return *(uint64_t*)a == *(uint64_t*)b;
}

/**
 * Hash the SPI of an SA: those with the same SPI are found together
 */
static u_int hash_sa(const void *key)
{
	const kernel_dvipa_sa_t *sa = key;

	return chunk_hash(chunk_create((u_char*)&sa->spi, sizeof(sa->spi)));
}

/**
 * Compare SAs by identity
 */
static bool same_sa(const void *a, const void *b)
{
	return a == b;
}

/**
 * Match SAs by SPI
 */
static bool match_spi(const void *a, const void *b)
{
	const kernel_dvipa_sa_t *key = a, *sa = b;

	return key->spi == sa->spi;
}

/**
 * Match SAs by SPI and outer addresses with ports
 */
static bool match_exactly(const void *a, const void *b)
{
	const kernel_dvipa_sa_t *key = a, *sa = b;

	return key->spi == sa->spi && key->dst->equals(key->dst, sa->dst) &&
		   key->src->equals(key->src, sa->src);
}

/**
 * Match SAs without encapsulation by SPI and outer addresses
 */
static bool match_native(const void *a, const void *b)
{
	const kernel_dvipa_sa_t *key = a, *sa = b;

	return key->spi == sa->spi && !sa->encap &&
		   key->dst->ip_equals(key->dst, sa->dst) &&
		   key->src->ip_equals(key->src, sa->src);
}

/**
 * Match inbound SAs by SPI, which is ours alone, and our address
 */
static bool match_inbound(const void *a, const void *b)
{
	const kernel_dvipa_sa_t *key = a, *sa = b;

	return key->spi == sa->spi && sa->inbound &&
		   key->dst->ip_equals(key->dst, sa->dst);
}

METHOD(kernel_dvipa_index_t, put, void,
	private_kernel_dvipa_index_t *this, kernel_dvipa_sa_t *sa)
{
	this->by_id->put(this->by_id, &sa->id, sa);
	this->by_spi->ht.put(&this->by_spi->ht, sa, sa);
}

METHOD(kernel_dvipa_index_t, remove_, void,
	private_kernel_dvipa_index_t *this, kernel_dvipa_sa_t *sa)
{
	this->by_spi->ht.remove(&this->by_spi->ht, sa);
	this->by_id->remove(this->by_id, &sa->id);
}

METHOD(kernel_dvipa_index_t, get, kernel_dvipa_sa_t*,
	private_kernel_dvipa_index_t *this, uint64_t id)
{
	return this->by_id->get(this->by_id, &id);
}

METHOD(kernel_dvipa_index_t, find, kernel_dvipa_sa_t*,
	private_kernel_dvipa_index_t *this, kernel_ipsec_sa_id_t *id)
{
	kernel_dvipa_sa_t *sa, key = {
		.spi = id->spi,
		.src = id->src,
		.dst = id->dst,
	};

	if (id->proto != IPPROTO_ESP)
	{
		return NULL;
	}
	sa = this->by_spi->get_match(this->by_spi, &key, match_exactly);
	if (!sa)
	{
		sa = this->by_spi->get_match(this->by_spi, &key, match_native);
	}
	if (!sa)
	{	/* charon doesn't note where it moved if its other SA did not */
		sa = this->by_spi->get_match(this->by_spi, &key, match_inbound);
	}
	return sa;
}

METHOD(kernel_dvipa_index_t, has_spi, bool,
	private_kernel_dvipa_index_t *this, uint32_t spi)
{
	kernel_dvipa_sa_t key = {
		.spi = spi,
	};

	return this->by_spi->get_match(this->by_spi, &key, match_spi) != NULL;
}

METHOD(kernel_dvipa_index_t, create_enumerator, enumerator_t*,
	private_kernel_dvipa_index_t *this)
{
	return this->by_id->create_enumerator(this->by_id);
}

/**
 * Destroy an entry
 */
static void destroy_sa(kernel_dvipa_sa_t *sa, const void *key)
{
	kernel_dvipa_sa_destroy(sa);
}

METHOD(kernel_dvipa_index_t, destroy, void,
	private_kernel_dvipa_index_t *this)
{
	this->by_spi->destroy(this->by_spi);
	this->by_id->destroy_function(this->by_id, (void*)destroy_sa);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_index_t *kernel_dvipa_index_create()
{
	private_kernel_dvipa_index_t *this;

	INIT(this,
		.public = {
			.put = _put,
			.remove = _remove_,
			.get = _get,
			.find = _find,
			.has_spi = _has_spi,
			.create_enumerator = _create_enumerator,
			.destroy = _destroy,
		},
		.by_id = hashtable_create(hash_id, equals_id, 32),
		.by_spi = hashlist_create(hash_sa, same_sa, 32),
	);
	return &this->public;
}
