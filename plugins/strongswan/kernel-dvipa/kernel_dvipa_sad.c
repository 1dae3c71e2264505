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
#include "kernel_dvipa_index.h"
#include "kernel_dvipa_spis.h"

#include <collections/linked_list.h>

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
	 * SAs
	 */
	kernel_dvipa_index_t *sas;

	/**
	 * Groups of the SAs
	 */
	kernel_dvipa_groups_t *groups;

	/**
	 * SPIs handed out
	 */
	kernel_dvipa_spis_t *spis;
};

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

CALLBACK(is_taken, bool,
	private_kernel_dvipa_sad_t *this, uint32_t spi)
{
	return this->sas->has_spi(this->sas, spi);
}

METHOD(kernel_dvipa_sad_t, get_spi, bool,
	private_kernel_dvipa_sad_t *this, uint32_t *spi)
{
	bool found;

	this->journal->lock(this->journal);
	found = this->spis->draw(this->spis, is_taken, this, spi);
	this->journal->unlock(this->journal);
	return found;
}

METHOD(kernel_dvipa_sad_t, add, bool,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data, host_t *dvipa)
{
	kernel_dvipa_group_t *group;
	kernel_dvipa_sa_t *sa;
	uint64_t num;

	this->journal->lock(this->journal);
	if (this->sas->find(this->sas, id))
	{
		this->journal->unlock(this->journal);
		dvipa->destroy(dvipa);
		return FALSE;
	}
	if (data->inbound)
	{
		this->spis->forget(this->spis, id->spi);
	}
	num = this->journal->next_id(this->journal);
	group = this->groups->join(this->groups, data->reqid,
							   data->inbound ? id->src : id->dst, data->encap);
	sa = kernel_dvipa_sa_create(num, id, data, dvipa, group);
	this->sas->put(this->sas, sa);
	this->journal->raise(this->journal, "sa-add",
						 (kernel_dvipa_encode_t)kernel_dvipa_sa_encode, sa);
	this->journal->owe(this->journal, num);
	this->journal->unlock(this->journal);
	return TRUE;
}

METHOD(kernel_dvipa_sad_t, get_kind, bool,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id, bool *inbound,
	ipsec_mode_t *mode)
{
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	sa = this->sas->find(this->sas, id);
	if (sa)
	{
		*inbound = sa->inbound;
		*mode = sa->mode;
	}
	this->journal->unlock(this->journal);
	return sa != NULL;
}

/**
 * Give an SA its new addresses, and its group with it
 */
static void move_sa(private_kernel_dvipa_sad_t *this, kernel_dvipa_sa_t *sa,
					kernel_ipsec_update_sa_t *data)
{
	sa->src->destroy(sa->src);
	sa->src = data->new_src->clone(data->new_src);
	sa->dst->destroy(sa->dst);
	sa->dst = data->new_dst->clone(data->new_dst);
	sa->encap = data->new_encap;
	sa->reqid = data->new_reqid ?: sa->reqid;
	this->groups->move(this->groups, sa->group, data->new_reqid,
					   sa->inbound ? sa->src : sa->dst, sa->encap);
	this->journal->raise(this->journal, "sa-update",
					(kernel_dvipa_encode_t)kernel_dvipa_sa_encode_update, sa);
}

METHOD(kernel_dvipa_sad_t, update, status_t,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_update_sa_t *data)
{
	kernel_ipsec_sa_id_t new_id = *id;
	kernel_dvipa_sa_t *sa, *other;
	status_t status = NOT_FOUND;

	new_id.src = data->new_src;
	new_id.dst = data->new_dst;
	this->journal->lock(this->journal);
	sa = this->sas->find(this->sas, id);
	other = this->sas->find(this->sas, &new_id);
	if (sa && other && other != sa)
	{
		status = ALREADY_DONE;
	}
	else if (sa)
	{
		move_sa(this, sa, data);
		status = SUCCESS;
	}
	this->journal->unlock(this->journal);
	return status;
}

METHOD(kernel_dvipa_sad_t, find_group, uint32_t,
	private_kernel_dvipa_sad_t *this, host_t *src, host_t *dst,
	ipsec_sa_cfg_t *cfg)
{
	kernel_dvipa_sa_t *sa;
	kernel_ipsec_sa_id_t id = {
		.src = src,
		.dst = dst,
		.spi = cfg->esp.spi,
		.proto = IPPROTO_ESP,
	};

	sa = cfg->esp.spi ? this->sas->find(this->sas, &id) : NULL;
	/* those that let out what is forwarded come without a reqid */
	if (!sa || (cfg->reqid && cfg->reqid != sa->reqid))
	{
		return 0;
	}
	return sa->group->id;
}

/**
 * Last use of an SA: while nobody could tell, it counts as used, so that no
 * live SA is deleted for inactivity because the agent was away
 */
static time_t last_use(private_kernel_dvipa_sad_t *this, kernel_dvipa_sa_t *sa)
{
	time_t unknown;

	unknown = this->journal->unknown_until(this->journal);
	if ((uint64_t)unknown * 1000 > sa->installed)
	{
		return max(sa->used, unknown);
	}
	return sa->used;
}

METHOD(kernel_dvipa_sad_t, query, bool,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id,
	uint64_t *bytes, uint64_t *packets, time_t *used)
{
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	sa = this->sas->find(this->sas, id);
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
	this->sas->remove(this->sas, sa);
	this->journal->raise(this->journal, "sa-delete",
					(kernel_dvipa_encode_t)kernel_dvipa_sa_encode_name, sa);
	this->groups->leave(this->groups, sa->group);
	kernel_dvipa_sa_destroy(sa);
}

METHOD(kernel_dvipa_sad_t, delete_, bool,
	private_kernel_dvipa_sad_t *this, kernel_ipsec_sa_id_t *id)
{
	kernel_dvipa_sa_t *sa;
	bool found;

	this->journal->lock(this->journal);
	this->spis->forget(this->spis, id->spi);
	sa = this->sas->find(this->sas, id);
	found = sa != NULL;
	if (sa)
	{
		delete_sa(this, sa);
	}
	this->journal->unlock(this->journal);
	return found;
}

METHOD(kernel_dvipa_sad_t, flush, void,
	private_kernel_dvipa_sad_t *this)
{
	enumerator_t *enumerator;
	kernel_dvipa_sa_t *sa;
	linked_list_t *all;

	all = linked_list_create();
	this->journal->lock(this->journal);
	enumerator = this->sas->create_enumerator(this->sas);
	while (enumerator->enumerate(enumerator, NULL, &sa))
	{
		all->insert_last(all, sa);
	}
	enumerator->destroy(enumerator);
	while (all->remove_first(all, (void**)&sa) == SUCCESS)
	{
		delete_sa(this, sa);
	}
	this->journal->unlock(this->journal);
	all->destroy(all);
}

METHOD(kernel_dvipa_sad_t, set_counters, void,
	private_kernel_dvipa_sad_t *this, uint64_t id, uint64_t bytes,
	uint64_t packets, uint64_t idle_ms)
{
	kernel_dvipa_sa_t *sa;
	uint64_t now = kernel_dvipa_now_ms();
	time_t used;

	this->journal->lock(this->journal);
	sa = this->sas->get(this->sas, id);
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
	sa = this->sas->get(this->sas, id);
	if (sa)
	{
		chunk_clear(&sa->state);
		sa->state = chunk_clone(state);
	}
	this->journal->unlock(this->journal);
	return sa != NULL;
}

METHOD(kernel_dvipa_sad_t, get_name, bool,
	private_kernel_dvipa_sad_t *this, uint64_t id, uint32_t *spi, host_t **dst,
	bool *encap)
{
	kernel_dvipa_sa_t *sa;

	this->journal->lock(this->journal);
	sa = this->sas->get(this->sas, id);
	if (sa)
	{
		*spi = sa->spi;
		*dst = sa->dst->clone(sa->dst);
		*encap = sa->encap;
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

METHOD(kernel_dvipa_sad_t, destroy, void,
	private_kernel_dvipa_sad_t *this)
{
	this->spis->destroy(this->spis);
	this->sas->destroy(this->sas);
	this->groups->destroy(this->groups);
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
			.get_kind = _get_kind,
			.update = _update,
			.find_group = _find_group,
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
		.sas = kernel_dvipa_index_create(),
		.groups = kernel_dvipa_groups_create(),
		.spis = kernel_dvipa_spis_create(prefix, prefix_bits),
	);
	return &this->public;
}
