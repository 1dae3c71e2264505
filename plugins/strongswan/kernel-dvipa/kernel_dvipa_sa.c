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

#include "kernel_dvipa_sa.h"
#include "kernel_dvipa_journal.h"

#include <collections/linked_list.h>

/**
 * Names of dscp_copy_t, as swanctl.conf has them
 */
static const char *copy_dscp_names[] = {
	[DSCP_COPY_OUT_ONLY] = "out",
	[DSCP_COPY_IN_ONLY] = "in",
	[DSCP_COPY_YES] = "yes",
	[DSCP_COPY_NO] = "no",
};

/**
 * Names of the elements of a list, counted from 0
 */
#define ELEMENT_NAME_LEN 12

/**
 * Text of a bool
 */
static const char *yes_no(bool value)
{
	return value ? "yes" : "no";
}

/**
 * Clone a list of traffic selectors
 */
static linked_list_t *clone_ts(linked_list_t *list)
{
	return list->clone_offset(list, offsetof(traffic_selector_t, clone));
}

/*
 * see header file
 */
kernel_dvipa_sa_t *kernel_dvipa_sa_create(uint64_t num,
										  kernel_ipsec_sa_id_t *id,
										  kernel_ipsec_add_sa_t *data,
										  host_t *dvipa,
										  kernel_dvipa_group_t *group)
{
	kernel_dvipa_sa_t *this;

	INIT(this,
		.id = num,
		.spi = id->spi,
		.src = id->src->clone(id->src),
		.dst = id->dst->clone(id->dst),
		.inbound = data->inbound,
		.dvipa = dvipa,
		.reqid = data->reqid,
		.group = group,
		.mode = data->mode,
		.encap = data->encap,
		.esn = data->esn,
		.replay_window = data->replay_window,
		.initiator = data->initiator,
		.update = data->update,
		.copy_df = data->copy_df,
		.copy_ecn = data->copy_ecn,
		.copy_dscp = data->copy_dscp,
		.tfc = data->tfc,
		.enc_alg = data->enc_alg,
		.enc_key = chunk_clone(data->enc_key),
		.src_ts = clone_ts(data->src_ts),
		.dst_ts = clone_ts(data->dst_ts),
		.lifetime = *data->lifetime,
		.installed = kernel_dvipa_now_ms(),
	);
	/* combined-mode algorithms come with AUTH_UNDEFINED and no key */
	if (data->int_key.len)
	{
		this->int_alg = data->int_alg;
		this->int_key = chunk_clone(data->int_key);
	}
	if (this->lifetime.time.rekey)
	{
		this->soft_at = this->installed + this->lifetime.time.rekey * 1000;
	}
	if (this->lifetime.time.life)
	{
		this->hard_at = this->installed + this->lifetime.time.life * 1000;
	}
	return this;
}

/*
 * see header file
 */
void kernel_dvipa_ts_encode(traffic_selector_t *ts, const char *name,
							kernel_dvipa_writer_t *writer)
{
	char buf[INET6_ADDRSTRLEN];
	bool ip4;
	int family;

	ip4 = ts->get_type(ts) == TS_IPV4_ADDR_RANGE;
	family = ip4 ? AF_INET : AF_INET6;
	writer->begin_section(writer, name);
	writer->add(writer, "family", "%d", ip4 ? 4 : 6);
	/* not %H, which says %any for 0.0.0.0 */
	writer->add(writer, "from", "%s", inet_ntop(family,
						ts->get_from_address(ts).ptr, buf, sizeof(buf)));
	writer->add(writer, "to", "%s", inet_ntop(family,
						ts->get_to_address(ts).ptr, buf, sizeof(buf)));
	writer->add(writer, "protocol", "%u", ts->get_protocol(ts));
	writer->add(writer, "from-port", "%u", ts->get_from_port(ts));
	writer->add(writer, "to-port", "%u", ts->get_to_port(ts));
	writer->end_section(writer);
}

/**
 * Write a section with traffic selectors, named 0, 1, ...
 */
static void encode_ts_list(linked_list_t *list, const char *name,
						   kernel_dvipa_writer_t *writer)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;
	char element[ELEMENT_NAME_LEN];
	u_int i = 0;

	writer->begin_section(writer, name);
	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &ts))
	{
		snprintf(element, sizeof(element), "%u", i++);
		kernel_dvipa_ts_encode(ts, element, writer);
	}
	enumerator->destroy(enumerator);
	writer->end_section(writer);
}

/**
 * Write the limits of one unit
 */
static void encode_limit(kernel_dvipa_writer_t *writer, const char *soft_name,
						 uint64_t soft, const char *hard_name, uint64_t hard)
{
	writer->add(writer, soft_name, "%llu", (unsigned long long)soft);
	writer->add(writer, hard_name, "%llu", (unsigned long long)hard);
}

/**
 * Write what names an SA
 */
static void encode_names(kernel_dvipa_sa_t *this, kernel_dvipa_writer_t *writer)
{
	writer->add(writer, "id", "%llu", (unsigned long long)this->id);
	writer->add(writer, "spi", "%08x", ntohl(this->spi));
	writer->add(writer, "direction", "%s", this->inbound ? "in" : "out");
}

/**
 * Write everything but keys
 */
static void encode_body(kernel_dvipa_sa_t *this, kernel_dvipa_writer_t *writer)
{
	writer->add(writer, "src", "%H", this->src);
	writer->add(writer, "dst", "%H", this->dst);
	writer->add(writer, "sport", "%u",
				this->encap ? this->src->get_port(this->src) : 0);
	writer->add(writer, "dport", "%u",
				this->encap ? this->dst->get_port(this->dst) : 0);
	writer->add(writer, "reqid", "%u", this->reqid);
	writer->add(writer, "group", "%u", this->group->id);
	writer->add(writer, "mode", "%s",
				this->mode == MODE_TRANSPORT ? "transport" : "tunnel");
	writer->add(writer, "encap", "%s", yes_no(this->encap));
	writer->add(writer, "esn", "%s", yes_no(this->esn));
	writer->add(writer, "replay-window", "%u", this->replay_window);
	writer->add(writer, "initiator", "%s", yes_no(this->initiator));
	writer->add(writer, "update", "%s", yes_no(this->update));
	writer->add(writer, "copy-df", "%s", yes_no(this->copy_df));
	writer->add(writer, "copy-ecn", "%s", yes_no(this->copy_ecn));
	writer->add(writer, "copy-dscp", "%s", copy_dscp_names[this->copy_dscp]);
	writer->add(writer, "tfc", "%u", this->tfc);
	writer->add(writer, "encr-alg", "%u", this->enc_alg);
	writer->add(writer, "integ-alg", "%u", this->int_alg);
	encode_ts_list(this->src_ts, "src-ts", writer);
	encode_ts_list(this->dst_ts, "dst-ts", writer);
	encode_limit(writer, "time-soft", this->lifetime.time.rekey,
				 "time-hard", this->lifetime.time.life);
	encode_limit(writer, "bytes-soft", this->lifetime.bytes.rekey,
				 "bytes-hard", this->lifetime.bytes.life);
	encode_limit(writer, "packets-soft", this->lifetime.packets.rekey,
				 "packets-hard", this->lifetime.packets.life);
	writer->add(writer, "age-ms", "%llu",
				(unsigned long long)(kernel_dvipa_now_ms() - this->installed));
	writer->add(writer, "dvipa", "%H", this->dvipa);
	if (this->state.len)
	{
		writer->add_chunk(writer, "state", this->state);
	}
}

/*
 * see header file
 */
void kernel_dvipa_sa_encode(kernel_dvipa_sa_t *this,
							kernel_dvipa_writer_t *writer)
{
	writer->begin_section(writer, "sa");
	encode_names(this, writer);
	encode_body(this, writer);
	writer->add_chunk(writer, "encr-key", this->enc_key);
	if (this->int_key.len)
	{
		writer->add_chunk(writer, "integ-key", this->int_key);
	}
	writer->end_section(writer);
}

/*
 * see header file
 */
void kernel_dvipa_sa_encode_update(kernel_dvipa_sa_t *this,
								   kernel_dvipa_writer_t *writer)
{
	writer->begin_section(writer, "sa");
	encode_names(this, writer);
	encode_body(this, writer);
	writer->end_section(writer);
}

/*
 * see header file
 */
void kernel_dvipa_sa_encode_name(kernel_dvipa_sa_t *this,
								 kernel_dvipa_writer_t *writer)
{
	writer->begin_section(writer, "sa");
	encode_names(this, writer);
	writer->end_section(writer);
}

/*
 * see header file
 */
void kernel_dvipa_sa_destroy(kernel_dvipa_sa_t *this)
{
	this->src->destroy(this->src);
	this->dst->destroy(this->dst);
	this->dvipa->destroy(this->dvipa);
	this->src_ts->destroy_offset(this->src_ts,
								 offsetof(traffic_selector_t, destroy));
	this->dst_ts->destroy_offset(this->dst_ts,
								 offsetof(traffic_selector_t, destroy));
	chunk_clear(&this->enc_key);
	chunk_clear(&this->int_key);
	chunk_clear(&this->state);
	free(this);
}
