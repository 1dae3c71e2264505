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

#include "kernel_dvipa_ipsec.h"
#include "kernel_dvipa_check.h"
#include "kernel_dvipa_commands.h"
#include "kernel_dvipa_mobike.h"
#include "kernel_dvipa_server.h"
#include "kernel_dvipa_timer.h"
#include "kernel_dvipa_version.h"

#include <daemon.h>

/**
 * Default of the setting socket
 */
#define DEFAULT_SOCKET "unix:///run/charon.dvipa"

/**
 * Default of the setting add_sa_wait_ms, and its limit
 */
#define DEFAULT_WAIT_MS 200
#define MAX_WAIT_MS 5000

/**
 * Default of the setting waiters: charon has 16 workers
 */
#define DEFAULT_WAITERS 4
#define MAX_WAITERS 8

/**
 * Limit of the setting spi_prefix_bits
 */
#define MAX_PREFIX_BITS 16

typedef struct private_kernel_dvipa_ipsec_t private_kernel_dvipa_ipsec_t;

/**
 * Private data of a kernel_dvipa_ipsec_t.
 */
struct private_kernel_dvipa_ipsec_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_ipsec_t public;

	/**
	 * Configured addresses, as in the public interface
	 */
	kernel_dvipa_addresses_t *addresses;

	/**
	 * Order of changes
	 */
	kernel_dvipa_journal_t *journal;

	/**
	 * SAs
	 */
	kernel_dvipa_sad_t *sad;

	/**
	 * Policies
	 */
	kernel_dvipa_spd_t *spd;

	/**
	 * Time-based expires
	 */
	kernel_dvipa_timer_t *timer;

	/**
	 * What the agent's commands work on
	 */
	kernel_dvipa_commands_t commands;

	/**
	 * Version of the running strongSwan
	 */
	char daemon_version[KERNEL_DVIPA_VERSION_LEN];

	/**
	 * Socket
	 */
	kernel_dvipa_server_t *server;

	/**
	 * What peers are told about our addresses
	 */
	kernel_dvipa_mobike_t *mobike;

	/**
	 * Ask for UDP encapsulation with every peer
	 */
	bool force_encap;
};

/**
 * The instance, for reload: charon has one kernel backend
 */
static private_kernel_dvipa_ipsec_t *instance;

METHOD(kernel_ipsec_t, get_features, kernel_feature_t,
	private_kernel_dvipa_ipsec_t *this)
{
	/* POLICY_SPI: add_policy is the switch of outbound traffic to another SA.
	 * ESP_V3_TFC: the data plane takes TFC padding, and adds it if configured.
	 * NO_POLICY_UPDATES: outer addresses are those of the SA, so when a peer
	 * moves update_sa is all that is needed. charon would take the policies
	 * away meanwhile, and put the same ones back. */
	return KERNEL_POLICY_SPI | KERNEL_ESP_V3_TFC | KERNEL_NO_POLICY_UPDATES
		   | (this->force_encap ? KERNEL_REQUIRE_UDP_ENCAPSULATION : 0)
#ifdef HAVE_KERNEL_SA_USE_TIME
		   | KERNEL_SA_USE_TIME
#endif
		   ;
}

METHOD(kernel_ipsec_t, get_spi, status_t,
	private_kernel_dvipa_ipsec_t *this, host_t *src, host_t *dst,
	uint8_t protocol, uint32_t *spi)
{
	return this->sad->get_spi(this->sad, spi) ? SUCCESS : FAILED;
}

METHOD(kernel_ipsec_t, get_cpi, status_t,
	private_kernel_dvipa_ipsec_t *this, host_t *src, host_t *dst,
	uint16_t *cpi)
{
	DBG1(DBG_KNL, "kernel-dvipa: no CPI: IPComp is not supported");
	return FAILED;
}

METHOD(kernel_ipsec_t, add_sa, status_t,
	private_kernel_dvipa_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data)
{
	const char *reason;
	host_t *dvipa;

	reason = kernel_dvipa_check_sa(this->addresses, id, data, &dvipa);
	if (!reason && !this->sad->add(this->sad, id, data, dvipa))
	{
		reason = "an SA with this SPI and these addresses is there already";
	}
	if (reason)
	{
		DBG1(DBG_KNL, "kernel-dvipa: %s SA with SPI %.8x from %#H to %#H is "
			 "refused: %s", data->inbound ? "inbound" : "outbound",
			 ntohl(id->spi), id->src, id->dst, reason);
		return FAILED;
	}
	this->timer->wake(this->timer);
	return SUCCESS;
}

METHOD(kernel_ipsec_t, update_sa, status_t,
	private_kernel_dvipa_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_update_sa_t *data)
{
	const char *reason;
	status_t status;
	ipsec_mode_t mode;
	bool inbound;

	if (!this->sad->get_kind(this->sad, id, &inbound, &mode))
	{
		return NOT_FOUND;
	}
	reason = kernel_dvipa_check_update(this->addresses, id, inbound, mode,
									   data);
	if (!reason)
	{
		status = this->sad->update(this->sad, id, data);
		if (status != ALREADY_DONE)
		{
			return status;
		}
		reason = "an SA with this SPI and these addresses is there already";
	}
	/* charon makes another SA then */
	DBG1(DBG_KNL, "kernel-dvipa: new addresses %#H and %#H of the SA with "
		 "SPI %.8x are refused: %s", data->new_src, data->new_dst,
		 ntohl(id->spi), reason);
	return NOT_SUPPORTED;
}

METHOD(kernel_ipsec_t, query_sa, status_t,
	private_kernel_dvipa_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_query_sa_t *data, uint64_t *bytes, uint64_t *packets,
	time_t *time)
{
	return this->sad->query(this->sad, id, bytes, packets, time) ?
		   SUCCESS : NOT_FOUND;
}

METHOD(kernel_ipsec_t, del_sa, status_t,
	private_kernel_dvipa_ipsec_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_del_sa_t *data)
{
	return this->sad->delete(this->sad, id) ? SUCCESS : NOT_FOUND;
}

METHOD(kernel_ipsec_t, flush_sas, status_t,
	private_kernel_dvipa_ipsec_t *this)
{
	this->sad->flush(this->sad);
	return SUCCESS;
}

/**
 * Is this the policy that charon puts in the way of packets while it moves an
 * SA and cannot count on NO_POLICY_UPDATES, since there is another backend? A
 * drop policy that somebody configured has no SA.
 */
static bool while_moving(kernel_ipsec_policy_id_t *id,
						 kernel_ipsec_manage_policy_t *data)
{
	return data->type == POLICY_DROP && id->dir == POLICY_OUT &&
		   data->sa->reqid;
}

METHOD(kernel_ipsec_t, add_policy, status_t,
	private_kernel_dvipa_ipsec_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	const char *reason;
	bool keep;

	reason = kernel_dvipa_check_policy(this->addresses, id, data, &keep);
	if (reason)
	{
		DBG1(DBG_KNL, "kernel-dvipa: policy %R === %R %N is refused: %s",
			 id->src_ts, id->dst_ts, policy_dir_names, id->dir, reason);
		return FAILED;
	}
	if (keep)
	{
		this->spd->add(this->spd, id, data);
	}
	else if (while_moving(id, data))
	{
		this->spd->hold(this->spd, id);
	}
	return SUCCESS;
}

METHOD(kernel_ipsec_t, query_policy, status_t,
	private_kernel_dvipa_ipsec_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_query_policy_t *data, time_t *use_time)
{
	uint32_t reqid;

	if (!this->spd->get_reqid(this->spd, id, &reqid))
	{
		return NOT_FOUND;
	}
	*use_time = this->sad->get_use_time(this->sad, reqid,
										id->dir != POLICY_OUT);
	return SUCCESS;
}

METHOD(kernel_ipsec_t, del_policy, status_t,
	private_kernel_dvipa_ipsec_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	if (while_moving(id, data))
	{
		this->spd->release(this->spd, id);
	}
	/* others were not kept */
	if (data->type != POLICY_IPSEC || this->spd->delete(this->spd, id, data))
	{
		return SUCCESS;
	}
	return NOT_FOUND;
}

METHOD(kernel_ipsec_t, flush_policies, status_t,
	private_kernel_dvipa_ipsec_t *this)
{
	this->spd->flush(this->spd);
	return SUCCESS;
}

METHOD(kernel_ipsec_t, bypass_socket, bool,
	private_kernel_dvipa_ipsec_t *this, int fd, int family)
{
	/* no policy of ours is in the way of IKE */
	return TRUE;
}

METHOD(kernel_ipsec_t, enable_udp_decap, bool,
	private_kernel_dvipa_ipsec_t *this, int fd, int family, uint16_t port)
{
	/* the agent captures ESP in UDP before it gets to charon's socket */
	return TRUE;
}

CALLBACK(raise_expire, void,
	private_kernel_dvipa_ipsec_t *this, uint32_t spi, host_t *dst, bool hard)
{
	DBG1(DBG_KNL, "kernel-dvipa: SA with SPI %.8x reached its %s limit",
		 ntohl(spi), hard ? "hard" : "soft");
	charon->kernel->expire(charon->kernel, IPPROTO_ESP, spi, dst, hard);
}

CALLBACK(raise_mapping, void,
	private_kernel_dvipa_ipsec_t *this, uint32_t spi, host_t *dst,
	host_t *remote)
{
	charon->kernel->mapping(charon->kernel, IPPROTO_ESP, spi, dst, remote);
}

CALLBACK(raise_acquire, void,
	private_kernel_dvipa_ipsec_t *this, uint32_t reqid,
	traffic_selector_t *src_ts, traffic_selector_t *dst_ts)
{
#ifdef HAVE_ACQUIRE_DATA
	kernel_acquire_data_t data = {
		.src = src_ts,
		.dst = dst_ts,
#ifdef HAVE_SA_CPU
		.cpu = CPU_ID_MAX,
#endif
	};

	charon->kernel->acquire(charon->kernel, reqid, &data);
#else
	/* takes them over */
	charon->kernel->acquire(charon->kernel, reqid, src_ts->clone(src_ts),
							dst_ts->clone(dst_ts));
#endif
}

CALLBACK(run_command, void,
	private_kernel_dvipa_ipsec_t *this, chunk_t command, chunk_t message,
	kernel_dvipa_writer_t *writer, bool listed)
{
	kernel_dvipa_commands_run(&this->commands, command, message, writer,
							  listed);
}

CALLBACK(agents_changed, void,
	private_kernel_dvipa_ipsec_t *this, u_int count)
{
	this->journal->set_agents(this->journal, count);
}

CALLBACK(send_event, void,
	private_kernel_dvipa_ipsec_t *this, const char *event, chunk_t packet)
{
	this->server->broadcast(this->server, event, packet);
}

METHOD(kernel_ipsec_t, destroy, void,
	private_kernel_dvipa_ipsec_t *this)
{
	instance = NULL;
	if (this->mobike)
	{
		charon->bus->remove_listener(charon->bus, &this->mobike->listener);
		this->mobike->destroy(this->mobike);
	}
	DESTROY_IF(this->timer);
	if (this->journal)
	{
		this->journal->set_sink(this->journal, NULL, NULL);
	}
	DESTROY_IF(this->server);
	DESTROY_IF(this->spd);
	DESTROY_IF(this->sad);
	DESTROY_IF(this->journal);
	DESTROY_IF(this->addresses);
	free(this);
}

/**
 * Get a number from the settings, not more than a limit
 */
static u_int get_number(const char *name, u_int def, u_int limit)
{
	int value;

	value = lib->settings->get_int(lib->settings,
						"%s.plugins.kernel-dvipa.%s", def, lib->ns, name);
	if (value < 0 || (u_int)value > limit)
	{
		DBG1(DBG_KNL, "kernel-dvipa: %s is not between 0 and %u, using %u",
			 name, limit, def);
		return def;
	}
	return value;
}

/**
 * Create SAD, SPD and what they need
 */
static bool create_tables(private_kernel_dvipa_ipsec_t *this)
{
	u_int prefix, prefix_bits;

	prefix_bits = get_number("spi_prefix_bits", 0, MAX_PREFIX_BITS);
	prefix = get_number("spi_prefix", 0, (1 << prefix_bits) - 1);

	this->addresses = kernel_dvipa_addresses_create();
	this->journal = kernel_dvipa_journal_create(
						get_number("add_sa_wait_ms", DEFAULT_WAIT_MS,
								   MAX_WAIT_MS),
						get_number("waiters", DEFAULT_WAITERS, MAX_WAITERS));
	if (!this->addresses || !this->journal)
	{
		return FALSE;
	}
	this->sad = kernel_dvipa_sad_create(this->journal, prefix, prefix_bits);
	this->spd = kernel_dvipa_spd_create(this->journal, this->sad);
	return TRUE;
}

/**
 * Create the threads
 */
static bool create_threads(private_kernel_dvipa_ipsec_t *this, bool delegates)
{
	kernel_dvipa_handler_t handler = {
		.command = run_command,
		.agents = agents_changed,
		.user = this,
	};

	this->commands = (kernel_dvipa_commands_t){
		.delegates = delegates,
		.addresses = this->addresses,
		.journal = this->journal,
		.sad = this->sad,
		.spd = this->spd,
		.daemon_version = this->daemon_version,
		.expire = raise_expire,
		.mapping = raise_mapping,
		.acquire = raise_acquire,
		.user = this,
	};
	this->server = kernel_dvipa_server_create(
						lib->settings->get_str(lib->settings,
									"%s.plugins.kernel-dvipa.socket",
									DEFAULT_SOCKET, lib->ns), &handler);
	if (!this->server)
	{
		return FALSE;
	}
	this->journal->set_sink(this->journal, send_event, this);
	this->timer = kernel_dvipa_timer_create(this->sad, raise_expire, this);
	return this->timer != NULL;
}

/*
 * see header file
 */
bool kernel_dvipa_ipsec_reload()
{
	return !instance || instance->addresses->reload(instance->addresses);
}

/*
 * see header file
 */
kernel_dvipa_ipsec_t *kernel_dvipa_ipsec_create(bool delegates)
{
	private_kernel_dvipa_ipsec_t *this;

	INIT(this,
		.public = {
			.interface = {
				.get_features = _get_features,
				.get_spi = _get_spi,
				.get_cpi = _get_cpi,
				.add_sa = _add_sa,
				.update_sa = _update_sa,
				.query_sa = _query_sa,
				.del_sa = _del_sa,
				.flush_sas = _flush_sas,
				.add_policy = _add_policy,
				.query_policy = _query_policy,
				.del_policy = _del_policy,
				.flush_policies = _flush_policies,
				.bypass_socket = _bypass_socket,
				.enable_udp_decap = _enable_udp_decap,
				.destroy = _destroy,
			},
		},
		.force_encap = lib->settings->get_bool(lib->settings,
						"%s.plugins.kernel-dvipa.force_udp_encapsulation",
						FALSE, lib->ns),
	);
	if (!kernel_dvipa_version_running(this->daemon_version) ||
		!create_tables(this) || !create_threads(this, delegates))
	{
		destroy(this);
		return NULL;
	}
	this->public.addresses = this->addresses;
	this->mobike = kernel_dvipa_mobike_create(this->addresses);
	charon->bus->add_listener(charon->bus, &this->mobike->listener);
	instance = this;
	DBG1(DBG_KNL, "kernel-dvipa: instance %s is ready",
		 this->journal->get_instance(this->journal));
	return &this->public;
}
