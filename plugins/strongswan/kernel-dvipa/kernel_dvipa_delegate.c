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

#include "kernel_dvipa_delegate.h"
#include "kernel_dvipa_scope.h"

#include <kernel/kernel_interface.h>

typedef struct private_kernel_dvipa_delegate_t private_kernel_dvipa_delegate_t;

/**
 * What a backend asks of charon; all other features are what it can do
 */
#define REQUIREMENTS (KERNEL_REQUIRE_EXCLUDE_ROUTE | \
					  KERNEL_REQUIRE_UDP_ENCAPSULATION)

/**
 * Private data of a kernel_dvipa_delegate_t.
 *
 * What is new goes where its scope says. What may be there already is looked
 * for among DVIPAs first: it is where it was installed, whatever the settings
 * say by now.
 */
struct private_kernel_dvipa_delegate_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_delegate_t public;

	/**
	 * Backend for DVIPAs
	 */
	kernel_ipsec_t *dvipa;

	/**
	 * The kernel's own backend
	 */
	kernel_ipsec_t *kernel;

	/**
	 * Configured addresses
	 */
	kernel_dvipa_addresses_t *addresses;
};

METHOD(kernel_ipsec_t, get_features, kernel_feature_t,
	private_kernel_dvipa_delegate_t *this)
{
	kernel_feature_t dvipa, kernel;

	dvipa = this->dvipa->get_features(this->dvipa);
	kernel = this->kernel->get_features(this->kernel);
	/* charon asks once for all SAs: it may count on what both can do, and has
	 * to do what one of them requires */
	return (dvipa & kernel) | ((dvipa | kernel) & REQUIREMENTS);
}

/**
 * Get the backend that owns SPIs and CPIs at an address of ours: selectors are
 * not known yet, but no SA with an endpoint ever goes to the kernel.
 */
static kernel_ipsec_t *owner_of(private_kernel_dvipa_delegate_t *this,
								host_t *ours)
{
	return this->addresses->is_endpoint(this->addresses, ours) ? this->dvipa :
																 this->kernel;
}

METHOD(kernel_ipsec_t, get_spi, status_t,
	private_kernel_dvipa_delegate_t *this, host_t *src, host_t *dst,
	uint8_t protocol, uint32_t *spi)
{
	kernel_ipsec_t *owner = owner_of(this, dst);

	return owner->get_spi(owner, src, dst, protocol, spi);
}

METHOD(kernel_ipsec_t, get_cpi, status_t,
	private_kernel_dvipa_delegate_t *this, host_t *src, host_t *dst,
	uint16_t *cpi)
{
	kernel_ipsec_t *owner = owner_of(this, dst);

	return owner->get_cpi(owner, src, dst, cpi);
}

METHOD(kernel_ipsec_t, add_sa, status_t,
	private_kernel_dvipa_delegate_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_add_sa_t *data)
{
	const char *reason;

	switch (kernel_dvipa_scope_sa(this->addresses, id, data, &reason))
	{
		case SCOPE_DVIPA:
			return this->dvipa->add_sa(this->dvipa, id, data);
		case SCOPE_KERNEL:
			return this->kernel->add_sa(this->kernel, id, data);
		default:
			DBG1(DBG_KNL, "kernel-dvipa: %s SA with SPI %.8x from %#H to %#H "
				 "is refused: %s", data->inbound ? "inbound" : "outbound",
				 ntohl(id->spi), id->src, id->dst, reason);
			return FAILED;
	}
}

METHOD(kernel_ipsec_t, update_sa, status_t,
	private_kernel_dvipa_delegate_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_update_sa_t *data)
{
	const char *reason;
	status_t status;

	status = this->dvipa->update_sa(this->dvipa, id, data);
	if (status != NOT_FOUND)
	{
		return status;
	}
	reason = kernel_dvipa_scope_hosts(this->addresses, data->new_src,
									  data->new_dst);
	if (reason)
	{
		/* charon makes another SA then */
		DBG1(DBG_KNL, "kernel-dvipa: new addresses %#H and %#H of the SA with "
			 "SPI %.8x are refused: %s", data->new_src, data->new_dst,
			 ntohl(id->spi), reason);
		return NOT_SUPPORTED;
	}
	return this->kernel->update_sa(this->kernel, id, data);
}

METHOD(kernel_ipsec_t, query_sa, status_t,
	private_kernel_dvipa_delegate_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_query_sa_t *data, uint64_t *bytes, uint64_t *packets,
	time_t *time)
{
	status_t status;

	status = this->dvipa->query_sa(this->dvipa, id, data, bytes, packets,
								   time);
	return status != NOT_FOUND ? status :
		   this->kernel->query_sa(this->kernel, id, data, bytes, packets,
								  time);
}

METHOD(kernel_ipsec_t, del_sa, status_t,
	private_kernel_dvipa_delegate_t *this, kernel_ipsec_sa_id_t *id,
	kernel_ipsec_del_sa_t *data)
{
	status_t status;

	status = this->dvipa->del_sa(this->dvipa, id, data);
	return status != NOT_FOUND ? status :
		   this->kernel->del_sa(this->kernel, id, data);
}

METHOD(kernel_ipsec_t, flush_sas, status_t,
	private_kernel_dvipa_delegate_t *this)
{
	this->dvipa->flush_sas(this->dvipa);
	return this->kernel->flush_sas(this->kernel);
}

METHOD(kernel_ipsec_t, add_policy, status_t,
	private_kernel_dvipa_delegate_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	const char *reason;

	switch (kernel_dvipa_scope_policy(this->addresses, id, data, &reason))
	{
		case SCOPE_DVIPA:
			return this->dvipa->add_policy(this->dvipa, id, data);
		case SCOPE_KERNEL:
			return this->kernel->add_policy(this->kernel, id, data);
		default:
			DBG1(DBG_KNL, "kernel-dvipa: policy %R === %R %N is refused: %s",
				 id->src_ts, id->dst_ts, policy_dir_names, id->dir, reason);
			return FAILED;
	}
}

METHOD(kernel_ipsec_t, query_policy, status_t,
	private_kernel_dvipa_delegate_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_query_policy_t *data, time_t *use_time)
{
	status_t status;

	status = this->dvipa->query_policy(this->dvipa, id, data, use_time);
	return status != NOT_FOUND ? status :
		   this->kernel->query_policy(this->kernel, id, data, use_time);
}

METHOD(kernel_ipsec_t, del_policy, status_t,
	private_kernel_dvipa_delegate_t *this, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_manage_policy_t *data)
{
	const char *reason;
	status_t status;

	if (data->type != POLICY_IPSEC)
	{
		/* those of a DVIPA were not kept, so they can't be looked for */
		return kernel_dvipa_scope_policy(this->addresses, id, data, &reason) ==
					SCOPE_DVIPA ?
			   this->dvipa->del_policy(this->dvipa, id, data) :
			   this->kernel->del_policy(this->kernel, id, data);
	}
	status = this->dvipa->del_policy(this->dvipa, id, data);
	return status != NOT_FOUND ? status :
		   this->kernel->del_policy(this->kernel, id, data);
}

METHOD(kernel_ipsec_t, flush_policies, status_t,
	private_kernel_dvipa_delegate_t *this)
{
	this->dvipa->flush_policies(this->dvipa);
	return this->kernel->flush_policies(this->kernel);
}

METHOD(kernel_ipsec_t, bypass_socket, bool,
	private_kernel_dvipa_delegate_t *this, int fd, int family)
{
	return this->kernel->bypass_socket(this->kernel, fd, family);
}

METHOD(kernel_ipsec_t, enable_udp_decap, bool,
	private_kernel_dvipa_delegate_t *this, int fd, int family, uint16_t port)
{
	/* takes nothing away from the agent: it captures before any socket, and
	 * the kernel knows no SA of a DVIPA */
	return this->kernel->enable_udp_decap(this->kernel, fd, family, port);
}

METHOD(kernel_ipsec_t, destroy, void,
	private_kernel_dvipa_delegate_t *this)
{
	this->kernel->destroy(this->kernel);
	this->dvipa->destroy(this->dvipa);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_delegate_t *kernel_dvipa_delegate_create(kernel_ipsec_t *dvipa,
										kernel_ipsec_t *kernel,
										kernel_dvipa_addresses_t *addresses)
{
	private_kernel_dvipa_delegate_t *this;

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
		.dvipa = dvipa,
		.kernel = kernel,
		.addresses = addresses,
	);
	return &this->public;
}
