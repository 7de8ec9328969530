/*
title: Every use of an asset, as the gateway last logged it
grain: [day, call_id]
columns:
  call_id: The gateway's id of the call.
  parent_call_id: The call that made this one; null for a call from outside.
  root_call_id: The call from outside at the top.
  client: The party that called.
  origin: How it came in (web2, web3, agent).
  chain_id: Chain of the asset; null where the call is not tied to a chain.
  asset_id: The asset called; null where the log names it only by text.
  asset_name: The asset's name in the log.
  provider: Who ran the call.
  at: When it came in, by the newest revision; one that names another day takes the call off the day before.
  day: UTC day of it.
  latency_us: How long it took, in microseconds.
  status: How it ended, as logged.
  prompt_tokens: Model tokens read.
  completion_tokens: Model tokens written.
  units: Units of another kind, where the asset is not metered in model tokens.
  adapters: Adapters loaded for the call.
  price: Base units the call costs; null where it is free or not priced.
  price_raw: The same in 32 bytes.
  token: Token of the price.
  batch_root: The batch in which the call was settled; null while it is not.
  source: Log or trace the row came from.
rules: [unique(call_id), not_null(root_call_id, client, status, source), nonnegative(price?, prompt_tokens?, completion_tokens?), in_set(origin?, web2, web3, agent)]
partition:
  by: day
  window: 0
  # a revision may move a call to another day: every day on which it ever stood is made again
  affects:
    raw.gateway_calls: >-
      select distinct revisions.day
      from raw.gateway_calls as revisions
      join raw.gateway_calls as touched on touched.call_id = revisions.call_id
      where touched.day in (select day from changed_days)
*/
with newest as (
    select *
    from raw.gateway_calls
    qualify row_number() over (partition by call_id order by rev desc nulls last) = 1
)

select
    call_id, parent_call_id, root_call_id, client_id as client, origin, chain_id, asset_id, asset_name, provider, newest.at as at,
    day, latency_us, status, prompt_tokens, completion_tokens, units, adapters, price, price_raw, token, batch_root,
    source
from newest
