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


#include "kernel_dvipa_groups.h"

#include <collections/linked_list.h>

typedef struct private_kernel_dvipa_groups_t private_kernel_dvipa_groups_t;

/**
 * Private data of a kernel_dvipa_groups_t.
 */
struct private_kernel_dvipa_groups_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_groups_t public;

	/**
	 * Groups as kernel_dvipa_group_t, those that moved or began last first
	 */
	linked_list_t *groups;

	/**
	 * Number of the last group, enough for a new peer each 10 ms over a year
	 */
	uint32_t last;
};

/**
 * Check if a group is of a peer. Without encapsulation, ports are those of IKE.
 */
static bool is_at(kernel_dvipa_group_t *group, uint32_t reqid, host_t *peer,
				  bool encap)
{
	return group->reqid == reqid && group->encap == encap &&
		   peer->ip_equals(peer, group->peer) &&
		   (!encap || peer->get_port(peer) ==
					  group->peer->get_port(group->peer));
}

METHOD(kernel_dvipa_groups_t, join, kernel_dvipa_group_t*,
	private_kernel_dvipa_groups_t *this, uint32_t reqid, host_t *peer,
	bool encap)
{
	enumerator_t *enumerator;
	kernel_dvipa_group_t *group, *found = NULL;

	enumerator = this->groups->create_enumerator(this->groups);
	while (!found && enumerator->enumerate(enumerator, &group))
	{
		if (is_at(group, reqid, peer, encap))
		{
			found = group;
		}
	}
	enumerator->destroy(enumerator);
	if (!found)
	{
		INIT(found,
			.id = ++this->last,
			.reqid = reqid,
			.peer = peer->clone(peer),
			.encap = encap,
		);
		this->groups->insert_first(this->groups, found);
	}
	found->sas++;
	return found;
}

METHOD(kernel_dvipa_groups_t, move, void,
	private_kernel_dvipa_groups_t *this, kernel_dvipa_group_t *group,
	uint32_t reqid, host_t *peer, bool encap)
{
	reqid = reqid ?: group->reqid;
	if (is_at(group, reqid, peer, encap))
	{
		return;
	}
	group->reqid = reqid;
	group->encap = encap;
	group->peer->destroy(group->peer);
	group->peer = peer->clone(peer);
	this->groups->remove(this->groups, group, NULL);
	this->groups->insert_first(this->groups, group);
}

/**
 * Destroy a kernel_dvipa_group_t
 */
static void group_destroy(kernel_dvipa_group_t *group)
{
	group->peer->destroy(group->peer);
	free(group);
}

METHOD(kernel_dvipa_groups_t, leave, void,
	private_kernel_dvipa_groups_t *this, kernel_dvipa_group_t *group)
{
	if (!--group->sas)
	{
		this->groups->remove(this->groups, group, NULL);
		group_destroy(group);
	}
}

METHOD(kernel_dvipa_groups_t, destroy, void,
	private_kernel_dvipa_groups_t *this)
{
	this->groups->destroy_function(this->groups, (void*)group_destroy);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_groups_t *kernel_dvipa_groups_create()
{
	private_kernel_dvipa_groups_t *this;

	INIT(this,
		.public = {
			.join = _join,
			.move = _move,
			.leave = _leave,
			.destroy = _destroy,
		},
		.groups = linked_list_create(),
	);
	return &this->public;
}
