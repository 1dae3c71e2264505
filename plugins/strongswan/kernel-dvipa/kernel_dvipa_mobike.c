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

#include "kernel_dvipa_mobike.h"

#include <encoding/payloads/notify_payload.h>

typedef struct private_kernel_dvipa_mobike_t private_kernel_dvipa_mobike_t;

/**
 * Private data of a kernel_dvipa_mobike_t.
 */
struct private_kernel_dvipa_mobike_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_mobike_t public;

	/**
	 * Configured addresses
	 */
	kernel_dvipa_addresses_t *addresses;
};

/**
 * Check if a payload tells the peer one more address of ours
 */
static bool is_additional(payload_t *payload)
{
	notify_payload_t *notify = (notify_payload_t*)payload;

	if (payload->get_type(payload) != PLV2_NOTIFY)
	{
		return FALSE;
	}
	switch (notify->get_notify_type(notify))
	{
		case ADDITIONAL_IP4_ADDRESS:
		case ADDITIONAL_IP6_ADDRESS:
			return TRUE;
		default:
			return FALSE;
	}
}

/**
 * Check if a peer may use the address in a notify: peers of DVIPAs may use
 * endpoints and DVIPAs, those of the kernel's SAs all others
 */
static bool is_usable(private_kernel_dvipa_mobike_t *this, host_t *ours,
					  notify_payload_t *notify)
{
	host_t *host;
	bool usable;

	/* the family follows from the length */
	host = host_create_from_chunk(AF_UNSPEC,
							notify->get_notification_data(notify), 0);
	usable = host && this->addresses->is_endpoint(this->addresses, host) ==
					 this->addresses->is_endpoint(this->addresses, ours);
	DESTROY_IF(host);
	return usable;
}

METHOD(listener_t, message, bool,
	private_kernel_dvipa_mobike_t *this, ike_sa_t *ike_sa, message_t *message,
	bool incoming, bool plain)
{
	enumerator_t *enumerator;
	payload_t *payload;
	int kept = 0, removed = 0;

	if (incoming || !plain)
	{
		return TRUE;
	}
	enumerator = message->create_payload_enumerator(message);
	while (enumerator->enumerate(enumerator, &payload))
	{
		if (!is_additional(payload))
		{
			continue;
		}
		if (is_usable(this, ike_sa->get_my_host(ike_sa),
					  (notify_payload_t*)payload))
		{
			kept++;
			continue;
		}
		message->remove_payload_at(message, enumerator);
		payload->destroy(payload);
		removed++;
	}
	enumerator->destroy(enumerator);
	if (removed && !kept)
	{
		/* a peer that was told others before must forget them */
		message->add_notify(message, FALSE, NO_ADDITIONAL_ADDRESSES,
							chunk_empty);
	}
	return TRUE;
}

METHOD(kernel_dvipa_mobike_t, destroy, void,
	private_kernel_dvipa_mobike_t *this)
{
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_mobike_t *kernel_dvipa_mobike_create(
										kernel_dvipa_addresses_t *addresses)
{
	private_kernel_dvipa_mobike_t *this;

	INIT(this,
		.public = {
			.listener = {
				.message = _message,
			},
			.destroy = _destroy,
		},
		.addresses = addresses,
	);
	return &this->public;
}
