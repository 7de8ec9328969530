/*
title: The chains this lake knows
grain: [chain_id]
columns:
  chain_id: The chain's id, as eth_chainId answers it.
  name: Our short name of the chain.
  caip2: The chain's name in CAIP-2 form, eip155 and the id.
  native_symbol: Symbol of the coin that pays for gas.
  native_decimals: Decimals of that coin.
  finality_kind: How blocks become final on this chain (probabilistic, instant, l2_safe).
  source: Where its blocks come from (live, recorded, devnet).
  proof_ceiling: The highest level of proof this chain can reach.
rules: [unique(chain_id), not_null(name, source), in_set(source, live, recorded, devnet)]
*/
select chain_id, name, caip2, native_symbol, native_decimals, finality_kind, source, proof_ceiling
from raw.chains
