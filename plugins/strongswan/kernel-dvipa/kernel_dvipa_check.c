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

#include "kernel_dvipa_check.h"

#include <collections/linked_list.h>
#include <crypto/crypters/crypter.h>
#include <crypto/signers/signer.h>

/**
 * Bytes of salt behind a key of AES-GCM (RFC 4106)
 */
#define GCM_SALT_LEN 4

/**
 * Key of HMAC-SHA2-256 (RFC 4868)
 */
#define SHA256_KEY_LEN 32

/**
 * Check the length of an AES key
 */
static bool is_aes_key(size_t len)
{
	return len == 16 || len == 32;
}

/**
 * Check the algorithms of an SA
 */
static const char *check_algorithms(kernel_ipsec_add_sa_t *data)
{
	switch (data->enc_alg)
	{
		case ENCR_AES_GCM_ICV16:
			if (data->enc_key.len < GCM_SALT_LEN ||
				!is_aes_key(data->enc_key.len - GCM_SALT_LEN))
			{
				return "AES-GCM with a key of other than 128 or 256 bits";
			}
			if (data->int_key.len)
			{
				return "AES-GCM with another integrity algorithm";
			}
			return NULL;
		case ENCR_AES_CBC:
			if (!is_aes_key(data->enc_key.len))
			{
				return "AES-CBC with a key of other than 128 or 256 bits";
			}
			if (data->int_alg != AUTH_HMAC_SHA2_256_128 ||
				data->int_key.len != SHA256_KEY_LEN)
			{
				return "AES-CBC with other integrity than HMAC-SHA2-256-128";
			}
			return NULL;
		default:
			return "encryption other than AES-GCM-16 and AES-CBC";
	}
}

/**
 * Check what the kernel's backends know but we don't
 */
static const char *check_extras(kernel_ipsec_sa_id_t *id,
								kernel_ipsec_add_sa_t *data)
{
	if (data->ipcomp != IPCOMP_NONE)
	{
		return "IPComp";
	}
	if (id->mark.value || data->mark.value)
	{
		return "marks";
	}
	if (id->if_id)
	{
		return "interface ids";
	}
	if (data->interface)
	{
		return "policies of an interface";
	}
	if (data->label)
	{
		return "security labels";
	}
	if (data->hw_offload != HW_OFFLOAD_NO &&
		data->hw_offload != HW_OFFLOAD_AUTO)
	{
		return "hardware offload";
	}
	if (data->tfc)
	{
		return "traffic flow confidentiality padding";
	}
#ifdef HAVE_SA_CPU
	if (data->cpu != CPU_ID_MAX)
	{
		return "SAs per CPU";
	}
#endif
	return NULL;
}

/**
 * Find the DVIPA that all traffic selectors of our side consist of
 */
static const char *check_selectors(kernel_dvipa_addresses_t *addresses,
								   linked_list_t *list, host_t **dvipa)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;
	host_t *one, *found = NULL;
	const char *reason = NULL;

	enumerator = list->create_enumerator(list);
	while (!reason && enumerator->enumerate(enumerator, &ts))
	{
		one = addresses->find_dvipa(addresses, ts);
		if (!one)
		{
			reason = found ? "a traffic selector beyond the DVIPA" :
							 "our traffic selector is no DVIPA";
		}
		else if (found && !found->ip_equals(found, one))
		{
			reason = "traffic selectors of several DVIPAs";
		}
		DESTROY_IF(found);
		found = one;
	}
	enumerator->destroy(enumerator);
	if (!reason && !found)
	{
		reason = "no traffic selector on our side";
	}
	if (reason)
	{
		DESTROY_IF(found);
		return reason;
	}
	*dvipa = found;
	return NULL;
}

/**
 * Check outer addresses
 */
static const char *check_hosts(kernel_dvipa_addresses_t *addresses,
							   host_t *ours, host_t *theirs)
{
	if (!addresses->is_endpoint(addresses, ours))
	{
		return "our address is neither an endpoint nor a DVIPA";
	}
	if (ours->get_family(ours) != AF_INET ||
		theirs->get_family(theirs) != AF_INET)
	{
		return "IPv6 outside of the tunnel";
	}
	return NULL;
}

/**
 * Check for traffic selectors that are not IPv4
 */
static bool has_ip6(linked_list_t *list)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;
	bool found = FALSE;

	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &ts))
	{
		found = found || ts->get_type(ts) != TS_IPV4_ADDR_RANGE;
	}
	enumerator->destroy(enumerator);
	return found;
}

/*
 * see header file
 */
const char *kernel_dvipa_check_sa(kernel_dvipa_addresses_t *addresses,
								  kernel_ipsec_sa_id_t *id,
								  kernel_ipsec_add_sa_t *data, host_t **dvipa)
{
	const char *reason;

	reason = check_hosts(addresses, data->inbound ? id->dst : id->src,
						 data->inbound ? id->src : id->dst);
	if (reason)
	{
		return reason;
	}
	if (id->proto != IPPROTO_ESP)
	{
		return "AH";
	}
	switch (data->mode)
	{
		case MODE_TUNNEL:
			break;
		case MODE_TRANSPORT:
			return "transport mode";
		case MODE_BEET:
			return "BEET mode";
		default:
			return "other mode than tunnel mode";
	}
	reason = check_extras(id, data);
	if (reason)
	{
		return reason;
	}
	if (data->esn)
	{
		return "Extended Sequence Numbers";
	}
	if (!data->encap)
	{
		return "ESP without UDP encapsulation";
	}
	reason = check_algorithms(data);
	if (reason)
	{
		return reason;
	}
	if (has_ip6(data->src_ts) || has_ip6(data->dst_ts))
	{
		return "IPv6 inside of the tunnel";
	}
	return check_selectors(addresses,
						   data->inbound ? data->dst_ts : data->src_ts, dvipa);
}

/*
 * see header file
 */
const char *kernel_dvipa_check_update(kernel_dvipa_addresses_t *addresses,
									  bool inbound,
									  kernel_ipsec_update_sa_t *data)
{
	if (!data->new_encap)
	{
		return "ESP without UDP encapsulation";
	}
	return check_hosts(addresses, inbound ? data->new_dst : data->new_src,
					   inbound ? data->new_src : data->new_dst);
}

/*
 * see header file
 */
const char *kernel_dvipa_check_policy(kernel_dvipa_addresses_t *addresses,
									  kernel_ipsec_policy_id_t *id,
									  kernel_ipsec_manage_policy_t *data,
									  bool *keep)
{
	host_t *src, *dst, *ours;
	bool out, concerns;

	src = addresses->find_dvipa(addresses, id->src_ts);
	dst = addresses->find_dvipa(addresses, id->dst_ts);
	/* forwarding policies come for both directions */
	out = id->dir == POLICY_OUT || (id->dir == POLICY_FWD && !dst && src);
	concerns = (out ? src : dst) != NULL;
	DESTROY_IF(src);
	DESTROY_IF(dst);

	*keep = FALSE;
	switch (data->type)
	{
		case POLICY_DROP:
			/* targets send and take nothing of a DVIPA without an SA */
			return concerns ? NULL : "a drop policy of what is no DVIPA";
		case POLICY_PASS:
			/* we are not in the way of anything else */
			return concerns ? "a bypass policy of a DVIPA" : NULL;
		default:
			break;
	}
	if (!concerns)
	{
		return "our traffic selector is no DVIPA";
	}
	if (id->mark.value)
	{
		return "marks";
	}
	if (id->if_id)
	{
		return "interface ids";
	}
	if (id->interface)
	{
		return "policies of an interface";
	}
	if (id->label)
	{
		return "security labels";
	}
	if (data->sa->mode != MODE_TUNNEL || data->sa->ah.use ||
		data->sa->ipcomp.transform != IPCOMP_NONE)
	{
		return "anything but ESP in tunnel mode";
	}
	ours = out ? data->src : data->dst;
	/* a trap need not know its addresses yet */
	if (!addresses->is_endpoint(addresses, ours) &&
		!(data->prio == POLICY_PRIORITY_ROUTED && ours->is_anyaddr(ours)))
	{
		return "our address is neither an endpoint nor a DVIPA";
	}
	*keep = TRUE;
	return NULL;
}
