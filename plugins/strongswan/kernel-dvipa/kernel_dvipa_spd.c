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

#include "kernel_dvipa_spd.h"

#include <collections/hashtable.h>
#include <collections/linked_list.h>

typedef struct private_kernel_dvipa_spd_t private_kernel_dvipa_spd_t;
typedef struct wanted_t wanted_t;

/**
 * Private data of a kernel_dvipa_spd_t.
 */
struct private_kernel_dvipa_spd_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_spd_t public;

	/**
	 * Journal, its lock protects everything here
	 */
	kernel_dvipa_journal_t *journal;

	/**
	 * SAs, they tell the groups
	 */
	kernel_dvipa_sad_t *sad;

	/**
	 * Policies by direction and traffic selectors, of which there may be
	 * several
	 */
	hashlist_t *policies;
};

/**
 * What policy is looked for
 */
struct wanted_t {

	/** direction, traffic selectors, group */
	kernel_dvipa_policy_t like;

	/** charon's data about a use */
	kernel_ipsec_manage_policy_t *data;

	/** SAs */
	kernel_dvipa_sad_t *sad;

	/** to collect policies in, as kernel_dvipa_policy_t */
	linked_list_t *all;
};

/**
 * Hash direction and traffic selectors: all groups are found together
 */
static u_int hash_policy(const void *key)
{
	const kernel_dvipa_policy_t *policy = key;

	return policy->src_ts->hash(policy->src_ts,
						policy->dst_ts->hash(policy->dst_ts, policy->dir));
}

/**
 * Compare policies by identity
 */
static bool same_policy(const void *a, const void *b)
{
	return a == b;
}

/**
 * Match policies of any group
 */
static bool match_any(const void *a, const void *b)
{
	const kernel_dvipa_policy_t *key = a, *policy = b;

	return key->dir == policy->dir &&
		   key->src_ts->equals(key->src_ts, policy->src_ts) &&
		   key->dst_ts->equals(key->dst_ts, policy->dst_ts);
}

/**
 * Match the policy of a group
 */
static bool match_group(const void *a, const void *b)
{
	const kernel_dvipa_policy_t *key = a, *policy = b;

	return key->group == policy->group && match_any(a, b);
}

/**
 * Match a policy with a certain use
 */
static bool match_use(const void *a, const void *b)
{
	const wanted_t *wanted = a;

	return match_any(a, b) &&
		   kernel_dvipa_policy_find_use((kernel_dvipa_policy_t*)b,
										wanted->data, TRUE);
}

/**
 * Match a policy with a certain use, whose SA is not where it was
 */
static bool match_moved(const void *a, const void *b)
{
	const wanted_t *wanted = a;
	kernel_dvipa_policy_use_t *use;

	if (!match_any(a, b))
	{
		return FALSE;
	}
	use = kernel_dvipa_policy_find_use((kernel_dvipa_policy_t*)b,
									   wanted->data, FALSE);
	return use && !wanted->sad->find_group(wanted->sad, use->src, use->dst,
										   &use->sa);
}

/**
 * Match none, and collect the policies of all groups on the way
 */
static bool match_all(const void *a, const void *b)
{
	const wanted_t *wanted = a;

	if (match_any(a, b))
	{
		wanted->all->insert_last(wanted->all, (void*)b);
	}
	return FALSE;
}

/**
 * Find a policy
 */
static kernel_dvipa_policy_t *find(private_kernel_dvipa_spd_t *this,
								   wanted_t *wanted, hashtable_equals_t match)
{
	return this->policies->get_match(this->policies, wanted, match);
}

/**
 * Say what policy is looked for
 */
static wanted_t like(private_kernel_dvipa_spd_t *this,
					 kernel_ipsec_policy_id_t *id,
					 kernel_ipsec_manage_policy_t *data)
{
	return (wanted_t){
		.like = {
			.dir = id->dir,
			.src_ts = id->src_ts,
			.dst_ts = id->dst_ts,
		},
		.data = data,
		.sad = this->sad,
	};
}

/**
 * Tell that a policy has another active use, under a new id
 */
static void tell(private_kernel_dvipa_spd_t *this,
				 kernel_dvipa_policy_t *policy)
{
	policy->id = this->journal->next_id(this->journal);
	this->journal->raise(this->journal, "policy-add",
				(kernel_dvipa_encode_t)kernel_dvipa_policy_encode, policy);
}

/**
 * Is this an inbound policy of a CHILD_SA whose outbound one is to follow at
 * once? So it is in a new group, while in a rekeying outbound traffic goes on
 * with the SA before, perhaps until the peer deletes that.
 */
static bool outbound_follows(private_kernel_dvipa_spd_t *this,
							 kernel_ipsec_policy_id_t *id, uint32_t group)
{
	wanted_t wanted = {
		.like = {
			.dir = POLICY_OUT,
			.src_ts = id->dst_ts,
			.dst_ts = id->src_ts,
			.group = group,
		},
	};

	return id->dir != POLICY_OUT && group && !find(this, &wanted, match_group);
}

/**
 * Wait until the agent acknowledged what this thread told it
 */
static void settle(private_kernel_dvipa_spd_t *this,
				   kernel_ipsec_policy_id_t *id)
{
	u_int missing;

	missing = this->journal->settle(this->journal);
	if (missing)
	{
		DBG2(DBG_KNL, "kernel-dvipa: of policy %R === %R %N and its SAs, %u %s "
			 "not acknowledged", id->src_ts, id->dst_ts, policy_dir_names,
			 id->dir, missing, missing == 1 ? "is" : "are");
	}
}

METHOD(kernel_dvipa_spd_t, add, void,
	private_kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	kernel_dvipa_policy_t *policy;
	wanted_t wanted = like(this, id, data);

	this->journal->lock(this->journal);
	wanted.like.group = this->sad->find_group(this->sad, data->src, data->dst,
											  data->sa);
	policy = find(this, &wanted, match_group);
	if (!policy)
	{
		policy = kernel_dvipa_policy_create(id, wanted.like.group);
		this->policies->ht.put(&this->policies->ht, policy, policy);
	}
	/* what only moved is known already */
	if (!kernel_dvipa_policy_reuse(policy, data) &&
		kernel_dvipa_policy_use(policy, data))
	{
		tell(this, policy);
		if (id->dir == POLICY_OUT)
		{
			this->journal->owe(this->journal, policy->id);
		}
	}
	/* policy may be gone afterwards */
	if (!outbound_follows(this, id, wanted.like.group))
	{
		settle(this, id);
	}
	this->journal->unlock(this->journal);
}

METHOD(kernel_dvipa_spd_t, get_reqid, bool,
	private_kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id,
	uint32_t *reqid)
{
	kernel_dvipa_policy_t *policy;
	wanted_t wanted = like(this, id, NULL);

	this->journal->lock(this->journal);
	policy = find(this, &wanted, match_any);
	if (policy)
	{
		*reqid = kernel_dvipa_policy_active(policy)->sa.reqid;
	}
	this->journal->unlock(this->journal);
	return policy != NULL;
}

METHOD(kernel_dvipa_spd_t, get_trap, bool,
	private_kernel_dvipa_spd_t *this, chunk_t key, uint32_t *reqid,
	traffic_selector_t **src_ts, traffic_selector_t **dst_ts)
{
	enumerator_t *enumerator;
	kernel_dvipa_policy_t *policy;
	kernel_dvipa_policy_use_t *use;
	bool found = FALSE;

	this->journal->lock(this->journal);
	enumerator = this->policies->ht.create_enumerator(&this->policies->ht);
	while (!found && enumerator->enumerate(enumerator, NULL, &policy))
	{
		use = kernel_dvipa_policy_active(policy);
		if (policy->dir == POLICY_OUT && use && !use->sa.esp.spi &&
			chunk_equals(key, chunk_from_str(policy->key)))
		{
			*reqid = use->sa.reqid;
			*src_ts = policy->src_ts->clone(policy->src_ts);
			*dst_ts = policy->dst_ts->clone(policy->dst_ts);
			found = TRUE;
		}
	}
	enumerator->destroy(enumerator);
	this->journal->unlock(this->journal);
	return found;
}

/**
 * Take a policy out of the table and tell it. Destroys it.
 */
static void delete_policy(private_kernel_dvipa_spd_t *this,
						  kernel_dvipa_policy_t *policy)
{
	this->policies->ht.remove(&this->policies->ht, policy);
	this->journal->raise(this->journal, "policy-delete",
			(kernel_dvipa_encode_t)kernel_dvipa_policy_encode_name, policy);
	kernel_dvipa_policy_destroy(policy);
}

/**
 * Find the policy and the use of it that charon wants to delete. Its SA may be
 * gone already, or it has moved since: the addresses of a use are the first.
 */
static kernel_dvipa_policy_use_t *find_use(private_kernel_dvipa_spd_t *this,
								wanted_t *wanted,
								kernel_dvipa_policy_t **policy)
{
	kernel_ipsec_manage_policy_t *data = wanted->data;
	kernel_dvipa_policy_use_t *use = NULL;

	wanted->like.group = this->sad->find_group(this->sad, data->src, data->dst,
											   data->sa);
	*policy = find(this, wanted, match_group);
	if (*policy)
	{
		use = kernel_dvipa_policy_find_use(*policy, data, FALSE);
	}
	if (!use)
	{
		*policy = find(this, wanted, match_use) ?:
				  find(this, wanted, match_moved);
		if (*policy)
		{
			use = kernel_dvipa_policy_find_use(*policy, data, FALSE);
		}
	}
	return use;
}

/**
 * Tell that the active use of a policy is gone. May destroy the policy.
 */
static void tell_unused(private_kernel_dvipa_spd_t *this,
						kernel_dvipa_policy_t *policy)
{
	if (kernel_dvipa_policy_active(policy))
	{
		tell(this, policy);
	}
	else
	{
		delete_policy(this, policy);
	}
}

METHOD(kernel_dvipa_spd_t, delete_, bool,
	private_kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	kernel_dvipa_policy_use_t *use;
	kernel_dvipa_policy_t *policy;
	wanted_t wanted = like(this, id, data);
	bool found;

	this->journal->lock(this->journal);
	use = find_use(this, &wanted, &policy);
	found = use != NULL;
	if (use && policy->holds)
	{
		use->leaving = TRUE;
	}
	else if (use && kernel_dvipa_policy_unuse(policy, use))
	{
		tell_unused(this, policy);
	}
	this->journal->unlock(this->journal);
	return found;
}

/**
 * Find the policies of all groups. Destroy the list.
 */
static linked_list_t *find_all(private_kernel_dvipa_spd_t *this,
							   kernel_ipsec_policy_id_t *id)
{
	wanted_t wanted = like(this, id, NULL);

	wanted.all = linked_list_create();
	find(this, &wanted, match_all);
	return wanted.all;
}

METHOD(kernel_dvipa_spd_t, hold, void,
	private_kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id)
{
	kernel_dvipa_policy_t *policy;
	linked_list_t *all;

	this->journal->lock(this->journal);
	all = find_all(this, id);
	while (all->remove_first(all, (void**)&policy) == SUCCESS)
	{
		policy->holds++;
	}
	all->destroy(all);
	this->journal->unlock(this->journal);
}

METHOD(kernel_dvipa_spd_t, release, void,
	private_kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id)
{
	kernel_dvipa_policy_t *policy;
	linked_list_t *all;

	this->journal->lock(this->journal);
	all = find_all(this, id);
	while (all->remove_first(all, (void**)&policy) == SUCCESS)
	{
		if (policy->holds && !--policy->holds &&
			kernel_dvipa_policy_unuse_leaving(policy))
		{
			tell_unused(this, policy);
		}
	}
	all->destroy(all);
	this->journal->unlock(this->journal);
}

METHOD(kernel_dvipa_spd_t, flush, void,
	private_kernel_dvipa_spd_t *this)
{
	enumerator_t *enumerator;
	kernel_dvipa_policy_t *policy;

	this->journal->lock(this->journal);
	while (this->policies->ht.get_count(&this->policies->ht))
	{
		enumerator = this->policies->ht.create_enumerator(&this->policies->ht);
		if (!enumerator->enumerate(enumerator, NULL, &policy))
		{
			policy = NULL;
		}
		enumerator->destroy(enumerator);
		if (!policy)
		{
			break;
		}
		delete_policy(this, policy);
	}
	this->journal->unlock(this->journal);
}

METHOD(kernel_dvipa_spd_t, encode, void,
	private_kernel_dvipa_spd_t *this, kernel_dvipa_writer_t *writer)
{
	enumerator_t *enumerator;
	kernel_dvipa_policy_t *policy;

	enumerator = this->policies->ht.create_enumerator(&this->policies->ht);
	while (enumerator->enumerate(enumerator, NULL, &policy))
	{
		writer->begin_packet(writer, DVIPA_EVENT, "list-policy");
		kernel_dvipa_policy_encode(policy, writer);
		writer->end_packet(writer);
	}
	enumerator->destroy(enumerator);
}

METHOD(kernel_dvipa_spd_t, destroy, void,
	private_kernel_dvipa_spd_t *this)
{
	enumerator_t *enumerator;
	kernel_dvipa_policy_t *policy;

	enumerator = this->policies->ht.create_enumerator(&this->policies->ht);
	while (enumerator->enumerate(enumerator, NULL, &policy))
	{
		kernel_dvipa_policy_destroy(policy);
	}
	enumerator->destroy(enumerator);
	this->policies->destroy(this->policies);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_spd_t *kernel_dvipa_spd_create(kernel_dvipa_journal_t *journal,
											kernel_dvipa_sad_t *sad)
{
	private_kernel_dvipa_spd_t *this;

	INIT(this,
		.public = {
			.add = _add,
			.get_reqid = _get_reqid,
			.get_trap = _get_trap,
			.delete = _delete_,
			.hold = _hold,
			.release = _release,
			.flush = _flush,
			.encode = _encode,
			.destroy = _destroy,
		},
		.journal = journal,
		.sad = sad,
		.policies = hashlist_create(hash_policy, same_policy, 32),
	);
	return &this->public;
}
