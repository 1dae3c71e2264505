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
			reason = found || addresses->touches_dvipa(addresses, ts) ?
							 "a traffic selector beyond the DVIPA" :
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
	if (ours->get_family(ours) != theirs->get_family(theirs))
	{
		return "outer addresses of two families";
	}
	return NULL;
}

/**
 * Check for an address that is not known yet: that of a trap need not be
 */
static bool is_open(host_t *host, bool trap)
{
	return trap && host->is_anyaddr(host);
}

/**
 * Check that in transport mode addresses are what the selectors say: there is
 * no inner header that could have others. Behind a NAT, charon has put the
 * address that we see into the peer's selectors (RFC 7296, 2.23.1).
 */
static const char *check_transport(host_t *dvipa, host_t *ours, host_t *theirs,
								   linked_list_t *their_ts, bool trap)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;
	const char *reason = NULL;

	if (!is_open(ours, trap) && !ours->ip_equals(ours, dvipa))
	{
		return "transport mode with an endpoint in front of the DVIPA";
	}
	if (!their_ts->get_count(their_ts))
	{
		return "no traffic selector on the peer's side";
	}
	enumerator = their_ts->create_enumerator(their_ts);
	while (!reason && enumerator->enumerate(enumerator, &ts))
	{
		if (!is_open(theirs, trap) && !ts->is_host(ts, theirs))
		{
			reason = "transport mode with a traffic selector that is not the "
					 "peer's address";
		}
	}
	enumerator->destroy(enumerator);
	return reason;
}

/**
 * Check an SA of a DVIPA
 */
static const char *check_sa(kernel_dvipa_addresses_t *addresses,
							kernel_ipsec_sa_id_t *id,
							kernel_ipsec_add_sa_t *data, host_t *dvipa)
{
	const char *reason;
	host_t *ours, *theirs;

	ours = data->inbound ? id->dst : id->src;
	theirs = data->inbound ? id->src : id->dst;
	reason = check_hosts(addresses, ours, theirs);
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
		case MODE_TRANSPORT:
			break;
		case MODE_BEET:
			return "BEET mode";
		default:
			return "other mode than tunnel and transport mode";
	}
	reason = check_extras(id, data);
	if (reason)
	{
		return reason;
	}
	reason = check_algorithms(data);
	if (!reason && data->mode == MODE_TRANSPORT)
	{
		reason = check_transport(dvipa, ours, theirs,
								 data->inbound ? data->src_ts : data->dst_ts,
								 FALSE);
	}
	return reason;
}

/*
 * see header file
 */
const char *kernel_dvipa_check_sa(kernel_dvipa_addresses_t *addresses,
								  kernel_ipsec_sa_id_t *id,
								  kernel_ipsec_add_sa_t *data, host_t **dvipa)
{
	const char *reason;
	host_t *found;

	/* first of all what concerns us: an ordinary tunnel with a DVIPA among
	 * others in its selectors would not be told of anything else */
	reason = check_selectors(addresses,
							 data->inbound ? data->dst_ts : data->src_ts,
							 &found);
	if (reason)
	{
		return reason;
	}
	reason = check_sa(addresses, id, data, found);
	if (reason)
	{
		found->destroy(found);
		return reason;
	}
	*dvipa = found;
	return NULL;
}

/*
 * see header file
 */
const char *kernel_dvipa_check_update(kernel_dvipa_addresses_t *addresses,
									  kernel_ipsec_sa_id_t *id, bool inbound,
									  ipsec_mode_t mode,
									  kernel_ipsec_update_sa_t *data)
{
	/* its selectors stay what they are, so it would protect nothing */
	if (mode == MODE_TRANSPORT &&
		(!id->src->ip_equals(id->src, data->new_src) ||
		 !id->dst->ip_equals(id->dst, data->new_dst)))
	{
		return "transport mode with another address than negotiated";
	}
	return check_hosts(addresses, inbound ? data->new_dst : data->new_src,
					   inbound ? data->new_src : data->new_dst);
}

/**
 * Check the outer addresses of a policy
 */
static const char *check_policy_hosts(kernel_dvipa_addresses_t *addresses,
								kernel_ipsec_policy_id_t *id,
								kernel_ipsec_manage_policy_t *data, bool out,
								host_t *dvipa)
{
	host_t *ours, *theirs;
	linked_list_t *their_ts;
	const char *reason;
	bool trap = data->prio == POLICY_PRIORITY_ROUTED;

	ours = out ? data->src : data->dst;
	theirs = out ? data->dst : data->src;
	if (!is_open(ours, trap) && !addresses->is_endpoint(addresses, ours))
	{
		return "our address is neither an endpoint nor a DVIPA";
	}
	if (data->sa->mode != MODE_TRANSPORT)
	{
		return NULL;
	}
	their_ts = linked_list_create_with_items(out ? id->dst_ts : id->src_ts,
											 NULL);
	reason = check_transport(dvipa, ours, theirs, their_ts, trap);
	their_ts->destroy(their_ts);
	return reason;
}

/**
 * Check an IPsec policy of a DVIPA
 */
static const char *check_ipsec_policy(kernel_dvipa_addresses_t *addresses,
								kernel_ipsec_policy_id_t *id,
								kernel_ipsec_manage_policy_t *data, bool out,
								host_t *dvipa)
{
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
	if ((data->sa->mode != MODE_TUNNEL && data->sa->mode != MODE_TRANSPORT) ||
		data->sa->ah.use || data->sa->ipcomp.transform != IPCOMP_NONE)
	{
		return "anything but ESP in tunnel or transport mode";
	}
	return check_policy_hosts(addresses, id, data, out, dvipa);
}

/*
 * see header file
 */
const char *kernel_dvipa_check_policy(kernel_dvipa_addresses_t *addresses,
									  kernel_ipsec_policy_id_t *id,
									  kernel_ipsec_manage_policy_t *data,
									  bool *keep)
{
	host_t *src, *dst, *dvipa;
	const char *reason;
	bool out;

	src = addresses->find_dvipa(addresses, id->src_ts);
	dst = addresses->find_dvipa(addresses, id->dst_ts);
	/* forwarding policies come for both directions */
	out = id->dir == POLICY_OUT || (id->dir == POLICY_FWD && !dst && src);
	dvipa = out ? src : dst;

	*keep = FALSE;
	switch (data->type)
	{
		case POLICY_DROP:
			/* targets send and take nothing of a DVIPA without an SA */
			reason = dvipa ? NULL : "a drop policy of what is no DVIPA";
			break;
		case POLICY_PASS:
			/* we are not in the way of anything else */
			reason = dvipa ? "a bypass policy of a DVIPA" : NULL;
			break;
		default:
			reason = dvipa ? check_ipsec_policy(addresses, id, data, out, dvipa)
						   : "our traffic selector is no DVIPA";
			*keep = !reason;
			break;
	}
	DESTROY_IF(src);
	DESTROY_IF(dst);
	return reason;
}
