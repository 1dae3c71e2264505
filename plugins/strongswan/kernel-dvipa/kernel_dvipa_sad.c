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

#include "kernel_dvipa_sad.h"

#include <collections/hashtable.h>

/**
 * SPIs below are reserved (RFC 4303, section 2.1)
 */
#define SPI_MIN 0x100

/**
 * Seconds after which an SPI that was given but never used is free again, as
 * in the kernel
 */
#define SPI_LIFETIME 165

typedef struct private_kernel_dvipa_sad_t private_kernel_dvipa_sad_t;
typedef struct due_t due_t;

/**
 * Private data of a kernel_dvipa_sad_t.
 */
struct private_kernel_dvipa_sad_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_sad_t public;

	/**
	 * Journal, its lock protects everything here
	 */
	kernel_dvipa_journal_t *journal;

	/**
	 * SAs by running number, which own them
	 */
	hashtable_t *sas;

	/**
	 * The same SAs by SPI, of which there may be several
	 */
	hashlist_t *by_spi;

	/**
	 * SPIs given to charon, as reserved_t by SPI
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
 * An SPI given to charon
 */
typedef struct {

	/** SPI, in network order */
	uint32_t spi;

	/** time_monotonic() until which it is taken */
	time_t until;

} reserved_t;

/**
 * A time limit that was reached
 */
struct due_t {

	/** SPI, in network order */
	uint32_t spi;

	/** outer destination, owned */
	host_t *dst;

	/** hard limit */
	bool hard;
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
 * Hash the SPI of an SA: those with the same SPI are found together
 */
static u_int hash_sa(const void *key)
{
	return hash_spi(&((kernel_dvipa_sa_t*)key)->spi);
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
 * Match SAs by SPI and outer addresses
 */
static bool match_loosely(const void *a, const void *b)
{
	const kernel_dvipa_sa_t *key = a, *sa = b;

	return key->spi == sa->spi && key->dst->ip_equals(key->dst, sa->dst) &&
		   key->src->ip_equals(key->src, sa->src);
}

/**
 * Find an SA by charon's data. Behind one NAT several peers may have chosen
 * the same SPI, so ports decide, if there is one with these ports.
 */
static kernel_dvipa_sa_t *find(private_kernel_dvipa_sad_t *this,
							   kernel_ipsec_sa_id_t *id)
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
	return sa ?: this->by_spi->get_match(this->by_spi, &key, match_loosely);
}

/**
 * Free an SPI that was given to charon
 */
static void unreserve(private_kernel_dvipa_sad_t *this, uint32_t spi)
{
	free(this->reserved->remove(this->reserved, &spi));
}

/**
 * Free SPIs that were never used
 */
static void forget_reserved(private_kernel_dvipa_sad_t *this)
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

/**
 * Check if an SPI is taken, by whatever
 */
static bool is_taken(private_kernel_dvipa_sad_t *this, uint32_t spi)
{
	kernel_dvipa_sa_t key = {
		.spi = spi,
	};

	return this->reserved->get(this->reserved, &spi) ||
		   this->by_spi->get_match(this->by_spi, &key, match_spi);
}

METHOD(kernel_dvipa_sad_t, get_spi, bool,
	private_kernel_dvipa_sad_t *this, uint32_t *spi)
{
	reserved_t *reserved;
	uint32_t value;
	bool found = FALSE;
	int tries;

	this->journal->lock(this->journal);
	if (!this->rng)
	{
		this->rng = lib->crypto->create_rng(lib->crypto, RNG_WEAK);
	}
	forget_reserved(this);
	for (tries = 0; this->rng && !found && tries < 1000; tries++)
	{
		if (!this->rng->get_bytes(this->rng, sizeof(value), (uint8_t*)&value))
		{
			break;
		}
		if (this->prefix_bits)
		{
			value >>= this->prefix_bits;
			value |= this->prefix << (32 - this->prefix_bits);
		}
		*spi = htonl(value);
		found = value >= SPI_MIN && !is_taken(this, *spi);
	}
	if (found)
	{
		INIT(reserved,
			.spi = *spi,
			.until = time_monotonic(NULL) + SPI_LIFETIME,
		);
		this->reserved->put(this->reserved, &reserved->spi, reserved);
	}
	this->journal->unlock(this->journal);
	return found;
}

METHOD(kernel_dvipa_sad_t, add, bool,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data, host_t *dvipa)
{
	kernel_dvipa_sa_t *sa, key = {
		.spi = id->spi,
		.src = id->src,
		.dst = id->dst,
	};
	uint64_t num;

	this->journal->lock(this->journal);
	if (this->by_spi->get_match(this->by_spi, &key, match_exactly))
	{
		this->journal->unlock(this->journal);
		dvipa->destroy(dvipa);
		return FALSE;
	}
	if (data->inbound)
	{
		unreserve(this, id->spi);
	}
	num = this->journal->next_id(this->journal);
	sa = kernel_dvipa_sa_create(num, id, data, dvipa);
	this->sas->put(this->sas, &sa->id, sa);
	this->by_spi->ht.put(&this->by_spi->ht, sa, sa);
	this->journal->raise(this->journal, "sa-add",
						 (kernel_dvipa_encode_t)kernel_dvipa_sa_encode, sa);
	/* sa may be gone afterwards */
	if (!this->journal->wait_ack(this->journal, num))
	{
		DBG2(DBG_KNL, "kernel-dvipa: SA %llu with SPI %.8x is not acknowledged",
			 (unsigned long long)num, ntohl(id->spi));
	}
	this->journal->unlock(this->journal);
	return TRUE;
}

METHOD(kernel_dvipa_sad_t, get_direction, bool,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id, bool *inbound)
{
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	sa = find(this, id);
	if (sa)
	{
		*inbound = sa->inbound;
	}
	this->journal->unlock(this->journal);
	return sa != NULL;
}

METHOD(kernel_dvipa_sad_t, update, bool,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_update_sa_t *data)
{
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	sa = find(this, id);
	if (sa)
	{
		sa->src->destroy(sa->src);
		sa->src = data->new_src->clone(data->new_src);
		sa->dst->destroy(sa->dst);
		sa->dst = data->new_dst->clone(data->new_dst);
		sa->encap = data->new_encap;
		if (data->new_reqid)
		{
			sa->reqid = data->new_reqid;
		}
		this->journal->raise(this->journal, "sa-update",
					(kernel_dvipa_encode_t)kernel_dvipa_sa_encode_update, sa);
	}
	this->journal->unlock(this->journal);
	return sa != NULL;
}

/**
 * Last use of an SA: while nobody could tell, it counts as used, so that no
 * live SA is deleted for inactivity because the agent was away
 */
static time_t last_use(private_kernel_dvipa_sad_t *this, kernel_dvipa_sa_t *sa)
{
	return sa->used ? max(sa->used, this->journal->unknown_until(this->journal))
					: 0;
}

METHOD(kernel_dvipa_sad_t, query, bool,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
	uint64_t *bytes, uint64_t *packets, time_t *used)
{
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	sa = find(this, id);
	if (sa)
	{
		if (bytes)
		{
			*bytes = sa->bytes;
		}
		if (packets)
		{
			*packets = sa->packets;
		}
		if (used)
		{
			*used = last_use(this, sa);
		}
	}
	this->journal->unlock(this->journal);
	return sa != NULL;
}

METHOD(kernel_dvipa_sad_t, get_use_time, time_t,
	private_kernel_dvipa_sad_t *this, uint32_t reqid, bool inbound)
{
	enumerator_t *enumerator;
	kernel_dvipa_sa_t *sa;
	time_t used = 0;

	this->journal->lock(this->journal);
	enumerator = this->sas->create_enumerator(this->sas);
	while (enumerator->enumerate(enumerator, NULL, &sa))
	{
		if (sa->reqid == reqid && sa->inbound == inbound)
		{
			used = max(used, last_use(this, sa));
		}
	}
	enumerator->destroy(enumerator);
	this->journal->unlock(this->journal);
	return used;
}

/**
 * Take an SA out of the table and tell it. Destroys it.
 */
static void delete_sa(private_kernel_dvipa_sad_t *this, kernel_dvipa_sa_t *sa)
{
	this->sas->remove(this->sas, &sa->id);
	this->by_spi->ht.remove(&this->by_spi->ht, sa);
	this->journal->raise(this->journal, "sa-delete",
					(kernel_dvipa_encode_t)kernel_dvipa_sa_encode_name, sa);
	kernel_dvipa_sa_destroy(sa);
}

METHOD(kernel_dvipa_sad_t, delete_, void,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id)
{
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	unreserve(this, id->spi);
	sa = find(this, id);
	if (sa)
	{
		delete_sa(this, sa);
	}
	this->journal->unlock(this->journal);
}

METHOD(kernel_dvipa_sad_t, flush, void,
	private_kernel_dvipa_sad_t *this)
{
	enumerator_t *enumerator;
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	while (this->sas->get_count(this->sas))
	{
		enumerator = this->sas->create_enumerator(this->sas);
		if (!enumerator->enumerate(enumerator, NULL, &sa))
		{
			sa = NULL;
		}
		enumerator->destroy(enumerator);
		if (!sa)
		{
			break;
		}
		delete_sa(this, sa);
	}
	this->journal->unlock(this->journal);
}

METHOD(kernel_dvipa_sad_t, set_counters, void,
	private_kernel_dvipa_sad_t *this, uint64_t id, uint64_t bytes,
	uint64_t packets, uint64_t idle_ms)
{
	kernel_dvipa_sa_t *sa;
	uint64_t now = kernel_dvipa_now_ms();
	time_t used;

	this->journal->lock(this->journal);
	sa = this->sas->get(this->sas, &id);
	if (sa && packets)
	{
		sa->bytes = max(sa->bytes, bytes);
		sa->packets = max(sa->packets, packets);
		/* it can't have been used before it was there */
		used = max(now - min(idle_ms, now), sa->installed) / 1000;
		sa->used = max(sa->used, max(used, 1));
	}
	this->journal->unlock(this->journal);
}

METHOD(kernel_dvipa_sad_t, put_state, bool,
	private_kernel_dvipa_sad_t *this, uint64_t id, chunk_t state)
{
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	sa = this->sas->get(this->sas, &id);
	if (sa)
	{
		chunk_clear(&sa->state);
		sa->state = chunk_clone(state);
	}
	this->journal->unlock(this->journal);
	return sa != NULL;
}

METHOD(kernel_dvipa_sad_t, get_name, bool,
	private_kernel_dvipa_sad_t *this, uint64_t id, uint32_t *spi, host_t **dst)
{
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	sa = this->sas->get(this->sas, &id);
	if (sa)
	{
		*spi = sa->spi;
		*dst = sa->dst->clone(sa->dst);
	}
	this->journal->unlock(this->journal);
	return sa != NULL;
}

/**
 * Note a time limit if it was reached, or when it will be
 */
static void check_limit(kernel_dvipa_sa_t *sa, uint64_t *at, bool hard,
						uint64_t now_ms, uint64_t *next, linked_list_t *due)
{
	due_t *one;

	if (*at && *at <= now_ms)
	{
		INIT(one,
			.spi = sa->spi,
			.dst = sa->dst->clone(sa->dst),
			.hard = hard,
		);
		due->insert_last(due, one);
		*at = 0;
	}
	else if (*at && (!*next || *at < *next))
	{
		*next = *at;
	}
}

METHOD(kernel_dvipa_sad_t, run_expires, uint64_t,
	private_kernel_dvipa_sad_t *this, uint64_t now_ms,
	kernel_dvipa_expire_t expire, void *user)
{
	enumerator_t *enumerator;
	kernel_dvipa_sa_t *sa;
	linked_list_t *due;
	due_t *one;
	uint64_t next = 0;

	due = linked_list_create();
	this->journal->lock(this->journal);
	enumerator = this->sas->create_enumerator(this->sas);
	while (enumerator->enumerate(enumerator, NULL, &sa))
	{
		check_limit(sa, &sa->soft_at, FALSE, now_ms, &next, due);
		check_limit(sa, &sa->hard_at, TRUE, now_ms, &next, due);
	}
	enumerator->destroy(enumerator);
	this->journal->unlock(this->journal);

	while (due->remove_first(due, (void**)&one) == SUCCESS)
	{
		expire(user, one->spi, one->dst, one->hard);
		one->dst->destroy(one->dst);
		free(one);
	}
	due->destroy(due);
	return next;
}

METHOD(kernel_dvipa_sad_t, encode, void,
	private_kernel_dvipa_sad_t *this, kernel_dvipa_writer_t *writer)
{
	enumerator_t *enumerator;
	kernel_dvipa_sa_t *sa;

	enumerator = this->sas->create_enumerator(this->sas);
	while (enumerator->enumerate(enumerator, NULL, &sa))
	{
		writer->begin_packet(writer, DVIPA_EVENT, "list-sa");
		kernel_dvipa_sa_encode(sa, writer);
		writer->end_packet(writer);
	}
	enumerator->destroy(enumerator);
}

/**
 * Destroy an entry of a table
 */
static void destroy_sa(kernel_dvipa_sa_t *sa, const void *key)
{
	kernel_dvipa_sa_destroy(sa);
}

/**
 * Destroy a reserved_t
 */
static void destroy_reserved(reserved_t *reserved, const void *key)
{
	free(reserved);
}

METHOD(kernel_dvipa_sad_t, destroy, void,
	private_kernel_dvipa_sad_t *this)
{
	this->by_spi->destroy(this->by_spi);
	this->sas->destroy_function(this->sas, (void*)destroy_sa);
	this->reserved->destroy_function(this->reserved, (void*)destroy_reserved);
	DESTROY_IF(this->rng);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_sad_t *kernel_dvipa_sad_create(kernel_dvipa_journal_t *journal,
											uint32_t prefix, u_int prefix_bits)
{
	private_kernel_dvipa_sad_t *this;

	INIT(this,
		.public = {
			.get_spi = _get_spi,
			.add = _add,
			.get_direction = _get_direction,
			.update = _update,
			.query = _query,
			.get_use_time = _get_use_time,
			.delete = _delete_,
			.flush = _flush,
			.set_counters = _set_counters,
			.put_state = _put_state,
			.get_name = _get_name,
			.run_expires = _run_expires,
			.encode = _encode,
			.destroy = _destroy,
		},
		.journal = journal,
		.sas = hashtable_create(hash_id, equals_id, 32),
		.by_spi = hashlist_create(hash_sa, same_sa, 32),
		.reserved = hashtable_create(hash_spi, equals_spi, 32),
		.prefix = prefix,
		.prefix_bits = prefix_bits,
	);
	return &this->public;
}
