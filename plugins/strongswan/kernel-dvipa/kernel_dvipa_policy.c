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

#include "kernel_dvipa_policy.h"
#include "kernel_dvipa_sa.h"

#include <collections/linked_list.h>

/**
 * Names of policy_dir_t
 */
static const char *dir_names[] = {
	[POLICY_IN] = "in",
	[POLICY_OUT] = "out",
	[POLICY_FWD] = "fwd",
};

/**
 * Distance between priority classes, more than all a class can give
 */
#define PRIORITY_CLASS 1000000

/**
 * Append a traffic selector to a key
 */
static void append_ts(char *key, traffic_selector_t *ts)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	size_t len = strlen(key);
	int family;

	family = ts->get_type(ts) == TS_IPV4_ADDR_RANGE ? AF_INET : AF_INET6;
	inet_ntop(family, ts->get_from_address(ts).ptr, from, sizeof(from));
	inet_ntop(family, ts->get_to_address(ts).ptr, to, sizeof(to));
	snprintf(key + len, KERNEL_DVIPA_POLICY_KEY_LEN - len, " %s-%s/%u/%u-%u",
			 from, to, ts->get_protocol(ts), ts->get_from_port(ts),
			 ts->get_to_port(ts));
}

/*
 * see header file
 */
kernel_dvipa_policy_t *kernel_dvipa_policy_create(kernel_ipsec_policy_id_t *id,
												  uint32_t group)
{
	kernel_dvipa_policy_t *this;
	size_t len;

	INIT(this,
		.dir = id->dir,
		.src_ts = id->src_ts->clone(id->src_ts),
		.dst_ts = id->dst_ts->clone(id->dst_ts),
		.group = group,
		.uses = linked_list_create(),
	);
	snprintf(this->key, sizeof(this->key), "%s", dir_names[id->dir]);
	append_ts(this->key, id->src_ts);
	append_ts(this->key, id->dst_ts);
	len = strlen(this->key);
	snprintf(this->key + len, sizeof(this->key) - len, " group %u", group);
	return this;
}

/**
 * Number of bits that a traffic selector leaves open, roughly: of its
 * addresses, and whether it names protocol and ports
 */
static uint32_t openness(traffic_selector_t *ts)
{
	uint8_t bits;
	host_t *net;

	ts->to_subnet(ts, &net, &bits);
	net->destroy(net);
	return (128 - bits) * 512 + (ts->get_protocol(ts) ? 0 : 256) +
		   (ts->get_from_port(ts) == ts->get_to_port(ts) ? 0 : 128);
}

/**
 * Calculate a priority, smaller is more specific
 */
static uint32_t get_priority(kernel_dvipa_policy_t *this,
							 kernel_ipsec_manage_policy_t *data)
{
	return data->manual_prio ?:
		   data->prio * PRIORITY_CLASS + openness(this->src_ts) +
		   openness(this->dst_ts);
}

/*
 * see header file
 */
bool kernel_dvipa_policy_use(kernel_dvipa_policy_t *this,
							 kernel_ipsec_manage_policy_t *data)
{
	enumerator_t *enumerator;
	kernel_dvipa_policy_use_t *use, *other;

	INIT(use,
		.prio = data->prio,
		.priority = get_priority(this, data),
		.src = data->src->clone(data->src),
		.dst = data->dst->clone(data->dst),
		.sa = *data->sa,
	);
	enumerator = this->uses->create_enumerator(this->uses);
	while (enumerator->enumerate(enumerator, &other))
	{
		if (use->priority <= other->priority)
		{
			break;
		}
	}
	this->uses->insert_before(this->uses, enumerator, use);
	enumerator->destroy(enumerator);
	return kernel_dvipa_policy_active(this) == use;
}

/**
 * Destroy a kernel_dvipa_policy_use_t
 */
static void use_destroy(kernel_dvipa_policy_use_t *use)
{
	use->src->destroy(use->src);
	use->dst->destroy(use->dst);
	free(use);
}

/*
 * see header file
 */
kernel_dvipa_policy_use_t *kernel_dvipa_policy_find_use(
						kernel_dvipa_policy_t *this,
						kernel_ipsec_manage_policy_t *data, bool exactly)
{
	enumerator_t *enumerator;
	kernel_dvipa_policy_use_t *use, *found = NULL;

	enumerator = this->uses->create_enumerator(this->uses);
	while (!found && enumerator->enumerate(enumerator, &use))
	{
		if (use->prio == data->prio &&
			use->sa.reqid == data->sa->reqid &&
			use->sa.esp.spi == data->sa->esp.spi &&
			(!exactly || (use->src->equals(use->src, data->src) &&
						  use->dst->equals(use->dst, data->dst))))
		{
			found = use;
		}
	}
	enumerator->destroy(enumerator);
	return found;
}

/*
 * see header file
 */
bool kernel_dvipa_policy_unuse(kernel_dvipa_policy_t *this,
							   kernel_dvipa_policy_use_t *use)
{
	bool active = kernel_dvipa_policy_active(this) == use;

	this->uses->remove(this->uses, use, NULL);
	use_destroy(use);
	return active;
}

/*
 * see header file
 */
bool kernel_dvipa_policy_reuse(kernel_dvipa_policy_t *this,
							   kernel_ipsec_manage_policy_t *data)
{
	kernel_dvipa_policy_use_t *use;

	use = kernel_dvipa_policy_find_use(this, data, FALSE);
	if (!use || !use->leaving)
	{
		return FALSE;
	}
	use->src->destroy(use->src);
	use->dst->destroy(use->dst);
	use->src = data->src->clone(data->src);
	use->dst = data->dst->clone(data->dst);
	use->leaving = FALSE;
	return TRUE;
}

/*
 * see header file
 */
bool kernel_dvipa_policy_unuse_leaving(kernel_dvipa_policy_t *this)
{
	enumerator_t *enumerator;
	kernel_dvipa_policy_use_t *use, *active = kernel_dvipa_policy_active(this);
	bool changed = FALSE;

	enumerator = this->uses->create_enumerator(this->uses);
	while (enumerator->enumerate(enumerator, &use))
	{
		if (use->leaving)
		{
			changed |= use == active;
			this->uses->remove_at(this->uses, enumerator);
			use_destroy(use);
		}
	}
	enumerator->destroy(enumerator);
	return changed;
}

/*
 * see header file
 */
kernel_dvipa_policy_use_t *kernel_dvipa_policy_active(
												kernel_dvipa_policy_t *this)
{
	kernel_dvipa_policy_use_t *use = NULL;

	this->uses->get_first(this->uses, (void**)&use);
	return use;
}

/**
 * Write what names a policy
 */
static void encode_names(kernel_dvipa_policy_t *this,
						 kernel_dvipa_writer_t *writer)
{
	writer->add(writer, "id", "%llu", (unsigned long long)this->id);
	writer->add(writer, "key", "%s", this->key);
}

/**
 * Write an address: numbers even if it is unknown, as in a trap
 */
static void encode_host(host_t *host, const char *name,
						kernel_dvipa_writer_t *writer)
{
	char buf[INET6_ADDRSTRLEN];

	writer->add(writer, name, "%s", inet_ntop(host->get_family(host),
						host->get_address(host).ptr, buf, sizeof(buf)));
}

/*
 * see header file
 */
void kernel_dvipa_policy_encode(kernel_dvipa_policy_t *this,
								kernel_dvipa_writer_t *writer)
{
	kernel_dvipa_policy_use_t *use = kernel_dvipa_policy_active(this);

	writer->begin_section(writer, "policy");
	encode_names(this, writer);
	writer->add(writer, "direction", "%s", dir_names[this->dir]);
	kernel_dvipa_ts_encode(this->src_ts, "src-ts", writer);
	kernel_dvipa_ts_encode(this->dst_ts, "dst-ts", writer);
	encode_host(use->src, "src", writer);
	encode_host(use->dst, "dst", writer);
	writer->add(writer, "reqid", "%u", use->sa.reqid);
	writer->add(writer, "group", "%u", this->group);
	writer->add(writer, "priority", "%u", use->priority);
	if (use->sa.esp.spi)
	{
		writer->add(writer, "spi", "%08x", ntohl(use->sa.esp.spi));
	}
	writer->add(writer, "action", "ipsec");
	writer->end_section(writer);
}

/*
 * see header file
 */
void kernel_dvipa_policy_encode_name(kernel_dvipa_policy_t *this,
									 kernel_dvipa_writer_t *writer)
{
	writer->begin_section(writer, "policy");
	encode_names(this, writer);
	writer->end_section(writer);
}

/*
 * see header file
 */
void kernel_dvipa_policy_destroy(kernel_dvipa_policy_t *this)
{
	this->uses->destroy_function(this->uses, (void*)use_destroy);
	this->src_ts->destroy(this->src_ts);
	this->dst_ts->destroy(this->dst_ts);
	free(this);
}
