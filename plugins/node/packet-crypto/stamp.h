/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Both ends of stamping on whole vectors: docs/outbound.md section 4. stamper.c
 * is the routing host's (`src/ipsec/stamper.ts` is the model), masker.c the
 * target's (`src/ipsec/stamp-sealer.ts`).
 */

#ifndef PACKET_CRYPTO_STAMP_H_
#define PACKET_CRYPTO_STAMP_H_

#include <node_api.h>

/** stamperCreate(verdicts): a table of SAs */
napi_value stamper_create(napi_env env, napi_callback_info info);

/** stamperInstall(table, slot, shape, key, link, check) */
napi_value stamper_install(napi_env env, napi_callback_info info);

/** stamperRemove(table, slot): twice is harmless */
napi_value stamper_remove(napi_env env, napi_callback_info info);

/** stamperBind(table, slab, offset, length, saSlot, verdict, sequenceHigh, sequenceLow, senderIds): a binding */
napi_value stamper_bind(napi_env env, napi_callback_info info);

/** stamperAccept(binding, count, epoch) */
napi_value stamper_accept(napi_env env, napi_callback_info info);

/** stamperStamp(binding, count) */
napi_value stamper_stamp(napi_env env, napi_callback_info info);

/** maskerCreate(verdicts): a table of SAs */
napi_value masker_create(napi_env env, napi_callback_info info);

/** maskerInstall(table, slot, shape, link, check) */
napi_value masker_install(napi_env env, napi_callback_info info);

/** maskerRemove(table, slot): twice is harmless */
napi_value masker_remove(napi_env env, napi_callback_info info);

/** maskerMask(table, slab, offset, length, saSlot, verdict, count, trafficClass, hopLimit, dontFragment) */
napi_value masker_mask(napi_env env, napi_callback_info info);

#endif /* PACKET_CRYPTO_STAMP_H_ */
