/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * What JavaScript sees of packet-crypto: see README.md one folder up. One line
 * a function, which checks its own arguments in the file of its subject.
 */

#include "cpu.h"
#include "crypto.h"
#include "peek.h"
#include "stamp.h"

#define EXPORT(js, function) \
	{ js, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL }

static napi_value packet_crypto_init(napi_env env, napi_value exports)
{
	const napi_property_descriptor properties[] = {
		EXPORT("libraries", crypto_libraries),
		EXPORT("create", table_create),
		EXPORT("install", table_install),
		EXPORT("remove", table_remove),
		EXPORT("open", esp_open),
		EXPORT("seal", esp_seal),
		EXPORT("linkSeal", link_seal),
		EXPORT("linkOpen", link_open),
		EXPORT("instructions", cpu_instructions),
		EXPORT("peekCreate", peek_create),
		EXPORT("peekInstall", peek_install),
		EXPORT("peekRemove", peek_remove),
		EXPORT("peekBind", peek_bind),
		EXPORT("peekDecrypt", peek_decrypt),
		EXPORT("peekDecryptLong", peek_decrypt_long),
		EXPORT("stamperCreate", stamper_create),
		EXPORT("stamperInstall", stamper_install),
		EXPORT("stamperRemove", stamper_remove),
		EXPORT("stamperBind", stamper_bind),
		EXPORT("stamperAccept", stamper_accept),
		EXPORT("stamperStamp", stamper_stamp),
		EXPORT("maskerCreate", masker_create),
		EXPORT("maskerInstall", masker_install),
		EXPORT("maskerRemove", masker_remove),
		EXPORT("maskerMask", masker_mask),
	};

	VECTOR_TRY(env, napi_define_properties(env, exports,
					sizeof(properties) / sizeof(properties[0]), properties));
	return exports;
}

NAPI_MODULE(packet_crypto, packet_crypto_init)
