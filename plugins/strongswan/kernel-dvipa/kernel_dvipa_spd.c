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
	 * Policies by key, which own them
	 */
	hashtable_t *policies;
};

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

METHOD(kernel_dvipa_spd_t, add, void,
	private_kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	kernel_dvipa_policy_t *policy;
	char key[KERNEL_DVIPA_POLICY_KEY_LEN];

	kernel_dvipa_policy_key(id, key);
	this->journal->lock(this->journal);
	policy = this->policies->get(this->policies, key);
	if (!policy)
	{
		policy = kernel_dvipa_policy_create(id);
		this->policies->put(this->policies, policy->key, policy);
	}
	if (kernel_dvipa_policy_use(policy, data))
	{
		tell(this, policy);
		/* policy may be gone afterwards */
		if (id->dir == POLICY_OUT &&
			!this->journal->wait_ack(this->journal, policy->id))
		{
			DBG2(DBG_KNL, "kernel-dvipa: policy %s is not acknowledged", key);
		}
	}
	this->journal->unlock(this->journal);
}

METHOD(kernel_dvipa_spd_t, get_reqid, bool,
	private_kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id,
	uint32_t *reqid)
{
	kernel_dvipa_policy_t *policy;
	char key[KERNEL_DVIPA_POLICY_KEY_LEN];

	kernel_dvipa_policy_key(id, key);
	this->journal->lock(this->journal);
	policy = this->policies->get(this->policies, key);
	if (policy)
	{
		*reqid = kernel_dvipa_policy_active(policy)->sa.reqid;
	}
	this->journal->unlock(this->journal);
	return policy != NULL;
}

/**
 * Take a policy out of the table and tell it. Destroys it.
 */
static void delete_policy(private_kernel_dvipa_spd_t *this,
						  kernel_dvipa_policy_t *policy)
{
	this->policies->remove(this->policies, policy->key);
	this->journal->raise(this->journal, "policy-delete",
			(kernel_dvipa_encode_t)kernel_dvipa_policy_encode_name, policy);
	kernel_dvipa_policy_destroy(policy);
}

METHOD(kernel_dvipa_spd_t, delete_, void,
	private_kernel_dvipa_spd_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	kernel_dvipa_policy_t *policy;
	char key[KERNEL_DVIPA_POLICY_KEY_LEN];

	kernel_dvipa_policy_key(id, key);
	this->journal->lock(this->journal);
	policy = this->policies->get(this->policies, key);
	if (policy && kernel_dvipa_policy_unuse(policy, data))
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
	this->journal->unlock(this->journal);
}

METHOD(kernel_dvipa_spd_t, flush, void,
	private_kernel_dvipa_spd_t *this)
{
	enumerator_t *enumerator;
	kernel_dvipa_policy_t *policy;

	this->journal->lock(this->journal);
	while (this->policies->get_count(this->policies))
	{
		enumerator = this->policies->create_enumerator(this->policies);
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

	enumerator = this->policies->create_enumerator(this->policies);
	while (enumerator->enumerate(enumerator, NULL, &policy))
	{
		writer->begin_packet(writer, DVIPA_EVENT, "list-policy");
		kernel_dvipa_policy_encode(policy, writer);
		writer->end_packet(writer);
	}
	enumerator->destroy(enumerator);
}

/**
 * Destroy an entry of the table
 */
static void destroy_policy(kernel_dvipa_policy_t *policy, const void *key)
{
	kernel_dvipa_policy_destroy(policy);
}

METHOD(kernel_dvipa_spd_t, destroy, void,
	private_kernel_dvipa_spd_t *this)
{
	this->policies->destroy_function(this->policies, (void*)destroy_policy);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_spd_t *kernel_dvipa_spd_create(kernel_dvipa_journal_t *journal)
{
	private_kernel_dvipa_spd_t *this;

	INIT(this,
		.public = {
			.add = _add,
			.get_reqid = _get_reqid,
			.delete = _delete_,
			.flush = _flush,
			.encode = _encode,
			.destroy = _destroy,
		},
		.journal = journal,
		.policies = hashtable_create(hashtable_hash_str, hashtable_equals_str,
									 32),
	);
	return &this->public;
}
