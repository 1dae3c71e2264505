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

#include "kernel_dvipa_addresses.h"

#include <collections/linked_list.h>
#include <threading/rwlock.h>

typedef struct private_kernel_dvipa_addresses_t private_kernel_dvipa_addresses_t;
typedef struct entry_t entry_t;

/**
 * Private data of a kernel_dvipa_addresses_t.
 */
struct private_kernel_dvipa_addresses_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_addresses_t public;

	/**
	 * DVIPAs, as entry_t
	 */
	linked_list_t *dvipas;

	/**
	 * Tunnel endpoints, as entry_t
	 */
	linked_list_t *endpoints;

	/**
	 * Lock for both
	 */
	rwlock_t *lock;
};

/**
 * An address
 */
struct entry_t {

	/**
	 * The address
	 */
	host_t *host;

	/**
	 * What the agent keeps with it
	 */
	chunk_t state;
};

/**
 * Destroy an entry_t
 */
static void entry_destroy(entry_t *entry)
{
	entry->host->destroy(entry->host);
	chunk_clear(&entry->state);
	free(entry);
}

/**
 * Destroy a list of entry_t
 */
static void destroy_entries(linked_list_t *list)
{
	list->destroy_function(list, (void*)entry_destroy);
}

/**
 * Find an address in a list
 */
static entry_t *find(linked_list_t *list, host_t *host)
{
	enumerator_t *enumerator;
	entry_t *entry, *found = NULL;

	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &entry))
	{
		if (host->ip_equals(host, entry->host))
		{
			found = entry;
			break;
		}
	}
	enumerator->destroy(enumerator);
	return found;
}

/*
 * see header file
 */
host_t *kernel_dvipa_address(const char *text, uint16_t port)
{
	host_t *host;

	host = host_create_from_string((char*)text, port);
	if (host && (host->is_anyaddr(host) ||
		(host->get_family(host) == AF_INET6 && IN6_IS_ADDR_V4MAPPED(
					(struct in6_addr*)host->get_address(host).ptr))))
	{
		host->destroy(host);
		return NULL;
	}
	return host;
}

/**
 * Read a list of addresses from a setting, NULL if it is wrong
 */
static linked_list_t *parse(const char *name)
{
	enumerator_t *enumerator;
	linked_list_t *list;
	entry_t *entry;
	host_t *host;
	char *setting, *token;
	bool failed = FALSE;

	setting = lib->settings->get_str(lib->settings,
							"%s.plugins.kernel-dvipa.%s", "", lib->ns, name);
	list = linked_list_create();
	enumerator = enumerator_create_token(setting, ", ", " ");
	while (enumerator->enumerate(enumerator, &token))
	{
		if (!*token)
		{
			continue;
		}
		host = kernel_dvipa_address(token, 0);
		if (!host)
		{
			DBG1(DBG_KNL, "kernel-dvipa: '%s' in %s is no address", token,
				 name);
			failed = TRUE;
			break;
		}
		if (find(list, host))
		{
			host->destroy(host);
			continue;
		}
		INIT(entry,
			.host = host,
		);
		list->insert_last(list, entry);
	}
	enumerator->destroy(enumerator);
	if (failed)
	{
		destroy_entries(list);
		return NULL;
	}
	return list;
}

METHOD(kernel_dvipa_addresses_t, is_endpoint, bool,
	private_kernel_dvipa_addresses_t *this, host_t *host)
{
	bool found;

	this->lock->read_lock(this->lock);
	found = find(this->endpoints, host) || find(this->dvipas, host);
	this->lock->unlock(this->lock);
	return found;
}

METHOD(kernel_dvipa_addresses_t, find_dvipa, host_t*,
	private_kernel_dvipa_addresses_t *this, traffic_selector_t *ts)
{
	host_t *host, *found = NULL;
	entry_t *entry;

	if (!chunk_equals(ts->get_from_address(ts), ts->get_to_address(ts)))
	{
		return NULL;
	}
	host = host_create_from_chunk(ts->get_type(ts) == TS_IPV4_ADDR_RANGE ?
								AF_INET : AF_INET6, ts->get_from_address(ts), 0);
	if (host)
	{
		this->lock->read_lock(this->lock);
		entry = find(this->dvipas, host);
		if (entry)
		{
			found = entry->host->clone(entry->host);
		}
		this->lock->unlock(this->lock);
		host->destroy(host);
	}
	return found;
}

METHOD(kernel_dvipa_addresses_t, touches_dvipa, bool,
	private_kernel_dvipa_addresses_t *this, traffic_selector_t *ts)
{
	enumerator_t *enumerator;
	entry_t *entry;
	bool found = FALSE;

	this->lock->read_lock(this->lock);
	enumerator = this->dvipas->create_enumerator(this->dvipas);
	while (!found && enumerator->enumerate(enumerator, &entry))
	{
		found = ts->includes(ts, entry->host);
	}
	enumerator->destroy(enumerator);
	this->lock->unlock(this->lock);
	return found;
}

METHOD(kernel_dvipa_addresses_t, put_state, bool,
	private_kernel_dvipa_addresses_t *this, const char *dvipa, chunk_t state)
{
	entry_t *entry = NULL;
	host_t *host;

	host = host_create_from_string((char*)dvipa, 0);
	if (host)
	{
		this->lock->write_lock(this->lock);
		entry = find(this->dvipas, host);
		if (entry)
		{
			chunk_clear(&entry->state);
			entry->state = chunk_clone(state);
		}
		this->lock->unlock(this->lock);
		host->destroy(host);
	}
	return entry != NULL;
}

/**
 * Write the addresses of a list
 */
static void encode_list(kernel_dvipa_writer_t *writer, const char *name,
						linked_list_t *list)
{
	enumerator_t *enumerator;
	entry_t *entry;

	writer->begin_list(writer, name);
	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &entry))
	{
		writer->add_item(writer, "%H", entry->host);
	}
	enumerator->destroy(enumerator);
	writer->end_list(writer);
}

METHOD(kernel_dvipa_addresses_t, encode, void,
	private_kernel_dvipa_addresses_t *this, kernel_dvipa_writer_t *writer)
{
	enumerator_t *enumerator;
	entry_t *entry;
	char name[64];

	this->lock->read_lock(this->lock);
	encode_list(writer, "dvipas", this->dvipas);
	encode_list(writer, "endpoints", this->endpoints);
	writer->begin_section(writer, "state");
	enumerator = this->dvipas->create_enumerator(this->dvipas);
	while (enumerator->enumerate(enumerator, &entry))
	{
		if (entry->state.len)
		{
			snprintf(name, sizeof(name), "%H", entry->host);
			writer->add_chunk(writer, name, entry->state);
		}
	}
	enumerator->destroy(enumerator);
	writer->end_section(writer);
	this->lock->unlock(this->lock);
}

/**
 * Take the states of DVIPAs that stay over to their new entries
 */
static void move_states(linked_list_t *from, linked_list_t *to)
{
	enumerator_t *enumerator;
	entry_t *entry, *old;

	enumerator = to->create_enumerator(to);
	while (enumerator->enumerate(enumerator, &entry))
	{
		old = find(from, entry->host);
		if (old)
		{
			entry->state = old->state;
			old->state = chunk_empty;
		}
	}
	enumerator->destroy(enumerator);
}

METHOD(kernel_dvipa_addresses_t, reload, bool,
	private_kernel_dvipa_addresses_t *this)
{
	linked_list_t *dvipas, *endpoints;

	dvipas = parse("dvipas");
	endpoints = parse("endpoints");
	if (!dvipas || !endpoints)
	{
		if (dvipas)
		{
			destroy_entries(dvipas);
		}
		if (endpoints)
		{
			destroy_entries(endpoints);
		}
		return FALSE;
	}
	if (!dvipas->get_count(dvipas))
	{
		DBG1(DBG_KNL, "kernel-dvipa: no DVIPA is configured, every SA will "
			 "be refused");
	}
	this->lock->write_lock(this->lock);
	move_states(this->dvipas, dvipas);
	destroy_entries(this->dvipas);
	destroy_entries(this->endpoints);
	this->dvipas = dvipas;
	this->endpoints = endpoints;
	this->lock->unlock(this->lock);
	return TRUE;
}

METHOD(kernel_dvipa_addresses_t, destroy, void,
	private_kernel_dvipa_addresses_t *this)
{
	this->lock->destroy(this->lock);
	destroy_entries(this->endpoints);
	destroy_entries(this->dvipas);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_addresses_t *kernel_dvipa_addresses_create()
{
	private_kernel_dvipa_addresses_t *this;

	INIT(this,
		.public = {
			.is_endpoint = _is_endpoint,
			.find_dvipa = _find_dvipa,
			.touches_dvipa = _touches_dvipa,
			.put_state = _put_state,
			.encode = _encode,
			.reload = _reload,
			.destroy = _destroy,
		},
		.dvipas = linked_list_create(),
		.endpoints = linked_list_create(),
		.lock = rwlock_create(RWLOCK_TYPE_DEFAULT),
	);
	if (!reload(this))
	{
		destroy(this);
		return NULL;
	}
	return &this->public;
}
