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
 * What the data plane can encrypt with. These tables are those of
 * src/ipsec/algorithms.ts; a test of it compares them.
 */
static const struct {
	encryption_algorithm_t alg;
	/** shortest and longest key in bytes, in steps of 8, without salt */
	size_t min_key, max_key;
	/** bytes of salt behind the key */
	size_t salt;
	/** brings its own ICV, so there is no integrity algorithm with it */
	bool aead;
} encryption[] = {
	{ ENCR_NULL,					 0,	 0,	0,	FALSE	},
	{ ENCR_AES_CBC,					16,	32,	0,	FALSE	},
	{ ENCR_AES_CTR,					16,	32,	4,	FALSE	},
	{ ENCR_AES_CCM_ICV8,			16,	32,	3,	TRUE	},
	{ ENCR_AES_CCM_ICV12,			16,	32,	3,	TRUE	},
	{ ENCR_AES_CCM_ICV16,			16,	32,	3,	TRUE	},
	{ ENCR_AES_GCM_ICV8,			16,	32,	4,	TRUE	},
	{ ENCR_AES_GCM_ICV12,			16,	32,	4,	TRUE	},
	{ ENCR_AES_GCM_ICV16,			16,	32,	4,	TRUE	},
	{ ENCR_NULL_AUTH_AES_GMAC,		16,	32,	4,	TRUE	},
	{ ENCR_CHACHA20_POLY1305,		32,	32,	4,	TRUE	},
};

/**
 * What it can authenticate with
 */
static const struct {
	integrity_algorithm_t alg;
	/** bytes of the key */
	size_t key;
} integrity[] = {
	{ AUTH_HMAC_SHA1_96,			20	},
	{ AUTH_AES_XCBC_96,				16	},
	{ AUTH_AES_CMAC_96,				16	},
	{ AUTH_HMAC_SHA2_256_128,		32	},
	{ AUTH_HMAC_SHA2_384_192,		48	},
	{ AUTH_HMAC_SHA2_512_256,		64	},
};

/**
 * Check the integrity algorithm that goes with encryption without an ICV
 */
static const char *check_integrity(kernel_ipsec_add_sa_t *data)
{
	u_int i;

	if (!data->int_key.len)
	{
		return "encryption without an integrity algorithm";
	}
	for (i = 0; i < countof(integrity); i++)
	{
		if (integrity[i].alg == data->int_alg)
		{
			return integrity[i].key == data->int_key.len ? NULL :
					"an integrity key of a length that the algorithm has not";
		}
	}
	return "integrity other than HMAC-SHA1-96, HMAC-SHA2-256-128, -384-192 "
		   "and -512-256, AES-XCBC-96 and AES-CMAC-96";
}

/**
 * Check the algorithms of an SA
 */
static const char *check_algorithms(kernel_ipsec_add_sa_t *data)
{
	size_t len;
	u_int i;

	for (i = 0; i < countof(encryption); i++)
	{
		if (encryption[i].alg != data->enc_alg)
		{
			continue;
		}
		len = data->enc_key.len - encryption[i].salt;
		if (data->enc_key.len < encryption[i].salt ||
			len < encryption[i].min_key || len > encryption[i].max_key ||
			len % 8)
		{
			return "an encryption key of a length that the algorithm has not";
		}
		if (!encryption[i].aead)
		{
			return check_integrity(data);
		}
		return data->int_key.len ? "an integrity algorithm with encryption "
								   "that brings its own" : NULL;
	}
	return "encryption other than NULL, AES-CBC, -CTR, -CCM, -GCM, -GMAC and "
		   "ChaCha20-Poly1305";
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
