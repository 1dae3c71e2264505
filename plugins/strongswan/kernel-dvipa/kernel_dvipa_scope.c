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

#include "kernel_dvipa_scope.h"

#include <collections/linked_list.h>

/**
 * Why a peer's side may not be a DVIPA
 */
#define PEER_IS_DVIPA "the peer's traffic selector is a DVIPA"

/**
 * Check if a traffic selector is one DVIPA
 */
static bool is_dvipa(kernel_dvipa_addresses_t *addresses,
					 traffic_selector_t *ts)
{
	host_t *found;

	found = addresses->find_dvipa(addresses, ts);
	DESTROY_IF(found);
	return found != NULL;
}

/**
 * Check if any of our traffic selectors has a DVIPA in it
 */
static bool touch_dvipa(kernel_dvipa_addresses_t *addresses,
						linked_list_t *list)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;
	bool found = FALSE;

	enumerator = list->create_enumerator(list);
	while (!found && enumerator->enumerate(enumerator, &ts))
	{
		found = addresses->touches_dvipa(addresses, ts);
	}
	enumerator->destroy(enumerator);
	return found;
}

/**
 * Check if any of the peer's traffic selectors is a DVIPA. A range around one
 * is not about it: a default route into a tunnel is 0.0.0.0/0.
 */
static bool name_dvipa(kernel_dvipa_addresses_t *addresses,
					   linked_list_t *list)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;
	bool found = FALSE;

	enumerator = list->create_enumerator(list);
	while (!found && enumerator->enumerate(enumerator, &ts))
	{
		found = is_dvipa(addresses, ts);
	}
	enumerator->destroy(enumerator);
	return found;
}

/*
 * see header file
 */
const char *kernel_dvipa_scope_hosts(kernel_dvipa_addresses_t *addresses,
									 host_t *src, host_t *dst)
{
	if (addresses->is_endpoint(addresses, src) ||
		addresses->is_endpoint(addresses, dst))
	{
		return "our traffic selector is no DVIPA, and ESP at an endpoint is "
			   "the routing agent's: such a tunnel needs another address";
	}
	return NULL;
}

/*
 * see header file
 */
kernel_dvipa_scope_t kernel_dvipa_scope_sa(kernel_dvipa_addresses_t *addresses,
										   kernel_ipsec_sa_id_t *id,
										   kernel_ipsec_add_sa_t *data,
										   const char **reason)
{
	linked_list_t *ours, *theirs;

	ours = data->inbound ? data->dst_ts : data->src_ts;
	theirs = data->inbound ? data->src_ts : data->dst_ts;
	if (!ours->get_count(ours) || touch_dvipa(addresses, ours))
	{
		return SCOPE_DVIPA;
	}
	*reason = name_dvipa(addresses, theirs) ? PEER_IS_DVIPA :
				kernel_dvipa_scope_hosts(addresses, id->src, id->dst);
	return *reason ? SCOPE_NOBODY : SCOPE_KERNEL;
}

/*
 * see header file
 */
kernel_dvipa_scope_t kernel_dvipa_scope_policy(
										kernel_dvipa_addresses_t *addresses,
										kernel_ipsec_policy_id_t *id,
										kernel_ipsec_manage_policy_t *data,
										const char **reason)
{
	traffic_selector_t *ours, *theirs;

	if (data->type != POLICY_IPSEC)
	{
		/* what the kernel drops or lets pass around a DVIPA does not loosen
		 * anything for it: it has no policy of a DVIPA to make way for */
		return is_dvipa(addresses, id->src_ts) ||
			   is_dvipa(addresses, id->dst_ts) ? SCOPE_DVIPA : SCOPE_KERNEL;
	}
	ours = id->dir == POLICY_OUT ? id->src_ts : id->dst_ts;
	theirs = id->dir == POLICY_OUT ? id->dst_ts : id->src_ts;
	/* forwarding policies come for both directions */
	if (addresses->touches_dvipa(addresses, ours) ||
		(id->dir == POLICY_FWD && is_dvipa(addresses, id->src_ts)))
	{
		return SCOPE_DVIPA;
	}
	*reason = is_dvipa(addresses, theirs) ? PEER_IS_DVIPA :
				kernel_dvipa_scope_hosts(addresses, data->src, data->dst);
	return *reason ? SCOPE_NOBODY : SCOPE_KERNEL;
}
